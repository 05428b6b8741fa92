"""Checks one row of a training set: its program, its answer, its human answers and its image id, using only the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.checks import check_again, variant_rules
from hopchain_etl.hops.consensus import is_consensus
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.query import QueryError, decimal_text, query_from_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.variants import VARIANTS, variant_violation

_VARIANTS = ("question_half", "answer_half", "question_single", "answer_single")

Row = dict[str, Any]
Complaint = tuple[str, str]  # reason code, detail
_SceneOf = Callable[[Mapping[str, Any]], Scene]


def scene_of(row: Mapping[str, Any]) -> Scene:
    """Return the scene of a row that includes its instances; if the row has no size, the size of the masks is used."""
    size = row["instances"][0]["mask"]["size"] if row.get("width") is None else (row["height"], row["width"])
    return Scene.from_rows(row["instances"], int(size[1]), int(size[0]))


class LastScene:
    """``scene_of`` for rows of which those of one photo come one after another: these share a scene and its results."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()

    def __call__(self, row: Mapping[str, Any]) -> Scene:
        """Return the scene of a row: that of the last row if instances and size are the same."""
        key = (row["instances"], row.get("width"), row.get("height"))
        if self._last[:-1] != key:
            self._last = (*key, scene_of(row))
        scene: Scene = self._last[-1]
        return scene


def verify_any(row: Row, scene_of: _SceneOf = scene_of) -> tuple[list[Complaint], float]:
    """Return the complaints about a row of a training set or the queries table, and the share of its unchecked hops.

    A row may come from any file, so invalid values are also reported as a complaint: ``unreadable_row``.
    """
    try:
        complaints, unchecked = verify_row(row, scene_of) if "program_agrees" in row else verify_query(row, scene_of)
        if not 0 <= unchecked <= 1:
            return [*complaints, ("wrong_unchecked", f"{unchecked} is no share")], 1.0
        return complaints, float(unchecked)
    except KeyError as error:
        remedy = "; give the instances table with --instances" if error.args == ("instances",) else ""
        return [("unreadable_row", f"it has no {error}{remedy}")], 1.0
    except Exception as error:  # noqa: BLE001 - whatever a row does to a check, it is that row's failure
        return [("unreadable_row", f"{type(error).__name__}: {error}")], 1.0


def verify_query(row: Row, scene_of: _SceneOf = scene_of) -> tuple[list[Complaint], float]:
    """Return the complaints about a row of the queries table that includes the instances of its image."""
    if not row["instances"]:
        return [("no_instances", f"no instances of image {row['image_id']} were given")], 1.0
    try:
        query = query_from_row(row)
    except QueryError as error:
        return [("unreadable_query", str(error))], 1.0
    scene = scene_of(row)
    found, unchecked = check_again(query, scene, row.get("confirmed_by"))
    complaints = [(one.reason, one.detail) for one in found]
    return [*complaints, *_variant_complaints(row, scene), *_own_complaints(row)], unchecked


def verify_row(row: Row, scene_of: _SceneOf = scene_of) -> tuple[list[Complaint], float]:
    """Return the complaints about one row (schemas.TRAINING_ROWS), and the share of its hops that code cannot check."""
    if not row["program_agrees"]:
        return list(_disagreeing_complaints(row)), row["unchecked"]
    try:
        query = query_from_row({**row, "answer": "0"})
        program = decimal_text(number_of(parse(query.expr), query.values))
    except (QueryError, ExpressionError, ValueError) as error:
        return [("unreadable_query", str(error))], 1.0
    # A row may lack its combination; then the instances visited by the chain are used.
    query = replace(query, answer=Fraction(program), combination=query.combination or query.referents)
    scene = scene_of(row)
    found, unchecked = check_again(query, scene, row.get("confirmed_by"))
    complaints = [(one.reason, one.detail) for one in found if not _of_combination_only(one.reason, row, query.hops)]
    complaints += _answer_complaints(row, program)
    complaints += _variant_complaints(row, scene)
    complaints += _own_complaints(row)
    if abs(unchecked - row["unchecked"]) > 1e-6:
        complaints.append(("wrong_unchecked", f"states {row['unchecked']:.3f}, is {unchecked:.3f}"))
    return complaints, unchecked


def _variant_complaints(row: Row, scene: Scene) -> Iterator[Complaint]:
    rules = variant_rules(row.get("confirmed_by"))
    for kind in VARIANTS:
        if wrong := variant_violation(kind, row, scene, rules):
            yield f"{kind}_{wrong.reason}", wrong.detail


def _own_complaints(row: Row) -> Iterator[Complaint]:
    """Yield complaints about a row that does not belong to its image."""
    if query_id(row["image_id"], row["question"]) != row["query_id"]:
        yield ("wrong_query_id", "not the sha256 of its image and question")
    if foreign := [one["instance_id"] for one in row["instances"] if one["image_id"] != row["image_id"]]:
        yield ("foreign_instance", f"{foreign[0]} is of another image")


def _disagreeing_complaints(row: Row) -> Iterator[Complaint]:
    """Yield complaints about a row where humans and program disagree; it may contain neither readings nor variants."""
    if row["policy"] == "unreviewed":
        yield ("wrong_answer", "no human has answered, and the program gives another answer")
    else:
        yield from _human_complaints(row)
    if any(hop["value"] is not None for hop in row["hops"]):
        yield ("untrue_reading", "humans and program disagree, but a hop contains a reading")
    if any(row.get(name) is not None for name in _VARIANTS):
        yield ("untrue_variant", "humans and program disagree, but the row has a variant of the question")
    yield from _own_complaints(row)


def _human_complaints(row: Row) -> Iterator[Complaint]:
    """Yield a complaint if the human answers do not lead to the row's answer under its policy."""
    humans = row["human_answers"]
    try:
        if not is_consensus(row["policy"], humans, row["answer"]):
            yield ("not_unanimous", f"answer {row['answer']}, {row['policy']}, humans {humans}")
    except ValueError as error:
        yield ("wrong_policy", str(error))


def _of_combination_only(reason: str, row: Row, hops: Sequence[Any]) -> bool:
    """A chain may leave one instance unused; so two referents are enough if the row has no combination."""
    referents = {hop.referent for hop in hops if hop.referent}
    return reason == "instance_count" and not row.get("combination") and len(referents) == 2


def _answer_complaints(row: Row, program: str) -> Iterator[Complaint]:
    """Yield complaints about a row's answer, given the program's answer."""
    if row["answer"] != program:
        yield ("wrong_answer", f"answer {row['answer']}, its expression gives {program}")
    if row["policy"] != "unreviewed":
        yield from _human_complaints(row)
    elif row["human_answers"]:
        yield ("wrong_policy", f"unreviewed with {len(row['human_answers'])} human answers")
