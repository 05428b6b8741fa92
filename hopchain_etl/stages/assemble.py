"""Assemble: from the lake's parts, as a snapshot names them, to the rows of a training set. No clocks, no chance.

Every query that the snapshot holds ends somewhere: in a row, or counted under the reason that dropped it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import records
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.geometry import Scene, instance_from_row
from hopchain_etl.hops.query import QueryError, decimal_text, query_from_row, query_id
from hopchain_etl.lake import Lake, Shard, parquet_bytes
from hopchain_etl.settings import Policy
from hopchain_etl.snapshot import Inputs, Snapshot, upstream_of

REVISION = 1
ANNOTATORS = 4  # "four human annotators answer each query independently; only unanimous answers stay" [C]
SPLITS = ("train", "validation")

_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,12})?")
_VARIANTS = ("question_half", "answer_half", "question_single", "answer_single")

Row = dict[str, Any]


@dataclass(frozen=True)
class Params:
    """What of ``params.yaml`` decides the rows, besides the snapshot."""

    validation_share: float = 0.1
    seed: int = 0
    rows_per_part: int = 5_000


def read_params(path: Path) -> Params:
    """Return the parameters of a ``params.yaml``; its other keys are not for this stage."""
    from ruamel.yaml import YAML

    value = YAML(typ="safe").load(path)
    return Params(**{one.name: value[one.name] for one in fields(Params)})


@dataclass(frozen=True)
class Verdict:
    """What people's answers say of a query: the answer that it is released with, or why it is dropped."""

    answer: Fraction | None = None
    policy: Policy = Policy.UNANIMOUS
    dropped: str | None = None


def assemble(snapshot: Snapshot, params: Params, lake: Lake, target: str, out: Path) -> dict[str, Any]:
    """Write ``rows/`` and ``dropped.json`` of a target below ``out`` and return the counts.

    The counts: ``read`` = ``rows`` + the sum of ``dropped``, in queries. The same snapshot and parameters give the
    same bytes. Raises LakeError where the lake no longer holds what the snapshot names.
    """
    work = _Assembly(snapshot, params, lake, target)
    tables = [records.TRAINING_ROWS.empty_table()]
    for lineage in snapshot["lineages"]:
        instances = upstream_of(snapshot["engines"][lineage], "segment")
        for shard in work.inputs.shards("queries", lineage):
            rows = list(work.rows(lineage, instances, shard))
            tables.append(pa.Table.from_pylist(rows, schema=records.TRAINING_ROWS))
    rows = pa.concat_tables(tables).combine_chunks().sort_by("query_id")
    write_rows(rows, out / "rows", params.rows_per_part)
    counts = {"read": work.read, "rows": rows.num_rows, "dropped": dict(sorted(work.dropped.items()))}
    assert work.read == rows.num_rows + work.dropped.total(), f"queries went missing: {counts}"
    (out / "dropped.json").write_text(json.dumps(counts, sort_keys=True, indent=1) + "\n")
    return counts


def write_rows(rows: pa.Table, folder: Path, rows_per_part: int) -> None:
    """Write sorted rows as ``<split>-00000.parquet`` files below ``folder``, replacing what is there.

    A split without rows is an empty file with the schema, so that every reader finds every split.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for split in SPLITS:
        mine = rows.filter(pc.equal(rows["split"], split))
        for number, at in enumerate(range(0, max(1, mine.num_rows), rows_per_part)):
            part = mine.slice(at, rows_per_part)
            (folder / f"{split}-{number:05d}.parquet").write_bytes(parquet_bytes(part))


def split_of(group: str, params: Params) -> str:
    """Return the split of a near-duplicate group: by its name alone, so it never moves between versions."""
    digest = hashlib.sha256(f"{group}\n{params.seed}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "validation" if share < params.validation_share else "train"


def judge(program: Fraction, answers: Iterable[Row], policy: Policy) -> Verdict:
    """Return what the human answers to a query (rows of ``answers``) make of it under a policy.

    A number needs four different people, all of the same mind; nobody's answer is ever replaced by a program's.
    """
    given = list(answers)
    if not given and policy is Policy.UNREVIEWED:
        return Verdict(program, Policy.UNREVIEWED)
    numbers = {number_of(one["answer"]) for one in given}
    if len(numbers) > 1 or None in numbers:
        return Verdict(dropped="no_consensus")
    if len({one["annotator"] for one in given}) < ANNOTATORS:
        return Verdict(dropped="not_enough_answers")
    return Verdict(numbers.pop())


def number_of(text: str | None) -> Fraction | None:
    """Return an answer as an exact number; None where it is not a plain decimal."""
    return Fraction(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None


class _Assembly:
    """One run: what is known before the first shard, and the tally."""

    def __init__(self, snapshot: Snapshot, params: Params, lake: Lake, target: str) -> None:
        self.inputs = Inputs(snapshot, lake)
        self.params = params
        self.policy = Policy(snapshot["policy"])
        self.withdrawn = frozenset(snapshot["withdrawn"])
        self.read = 0
        self.dropped: Counter[str] = Counter()
        self._answers, answered = _human_answers(self.inputs, snapshot["asked"])
        self._tries = _tries(self.inputs, target)
        self._winners = _winners(snapshot, self.inputs, answered)

    def rows(self, lineage: str, instances: str, shard: Shard) -> Iterator[Row]:
        """Yield the released rows of one shard of one lineage, and count what is dropped."""
        images = {row["image_id"]: row for row in self.inputs.rows("images", None, shard)}
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for one in self.inputs.rows("instances", instances, shard):
            found[one["image_id"]].append(one)
        for query in self.inputs.rows("queries", lineage, shard):
            self.read += 1
            made = self._row(query, lineage, images.get(query["image_id"]), found[query["image_id"]])
            if isinstance(made, str):
                self.dropped[made] += 1
            else:
                yield made

    def _row(self, query: Row, lineage: str, image: Row | None, instances: list[Row]) -> Row | str:
        """Return a query as a training row, or the reason why it is none."""
        if query["image_id"] in self.withdrawn:
            return "withdrawn"
        if image is None:
            return "no_image"
        if self._winners.get(query["query_id"]) != lineage:
            return "superseded"
        self._winners[query["query_id"]] = ""  # taken: an id is released once, whatever the lake repeats
        split = split_of(image["group"], self.params)
        if any(split_of(group, self.params) != split for group in image["near"] or ()):
            return "bridges_splits"
        program = _checked(query, image, instances)
        if isinstance(program, str):
            return program
        answers = self._answers.get(query["query_id"], [])
        verdict = judge(program.answer, answers, self.policy)
        if verdict.answer is None:
            return verdict.dropped or "no_consensus"
        difficulty = _share_right(self._tries.get(query["query_id"], ()), verdict.answer)
        if difficulty == 1.0:
            return "always_solved"
        agrees = verdict.answer == program.answer
        return {
            **{name: query.get(name) for name in records.TRAINING_ROWS.names},
            **{name: image[name] for name in ("group", "source", "license", "width", "height")},
            # Nobody has answered the variants: where people and program differ, nothing vouches for them.
            **{name: query[name] if agrees else None for name in _VARIANTS},
            "split": split,
            "answer": decimal_text(verdict.answer),
            "instances": instances,
            "n_hops": len(query["hops"]),
            "unchecked": program.unchecked,
            "policy": str(verdict.policy),
            "human_answers": [one["answer"] for one in answers],
            "program_agrees": agrees,
            "difficulty": difficulty,
            "lineage": lineage,
            "source_uri": image["uri"],
        }


@dataclass(frozen=True)
class _Program:
    answer: Fraction
    unchecked: float


def _checked(row: Row, image: Row, instances: list[Row]) -> _Program | str:
    """Return what the query's program gives, or the first rule that it breaks today."""
    try:
        query = query_from_row(row)
    except QueryError:
        return "unreadable_query"
    if query_id(row["image_id"], query.question) != row["query_id"]:
        return "wrong_query_id"
    scene = Scene(tuple(map(instance_from_row, instances)), image["width"], image["height"])
    complaints, unchecked = check(query, scene)
    return complaints[0].reason if complaints else _Program(query.answer, unchecked)


def _human_answers(
    inputs: Inputs, asked: Mapping[str, str | None]
) -> tuple[dict[str, list[Row]], set[tuple[str | None, str]]]:
    """Return the answers to each query, one a seat, by seat; and which (lineage, query) people were shown."""
    seats: dict[tuple[str, int], Row] = {}
    shown: set[tuple[str | None, str]] = set()
    for fingerprint in inputs.fingerprints("answers"):
        for shard in inputs.shards("answers", fingerprint):
            for row in inputs.rows("answers", fingerprint, shard):
                key = (row["query_id"], row["seat"])
                shown.add((asked[fingerprint], row["query_id"]))
                seats[key] = max(seats.get(key, row), row, key=lambda one: one["answered_at"] or "")
    by_query: defaultdict[str, list[Row]] = defaultdict(list)
    for (query, _), row in sorted(seats.items()):
        by_query[query].append(row)
    return dict(by_query), shown


def _tries(inputs: Inputs, target: str) -> dict[str, list[Fraction | None]]:
    """Return what weaker models that saw the image answered, by query.

    A target that is named after a model counts that model's answers; any other target counts all of them.
    """
    by_model: defaultdict[str, defaultdict[str, list[Fraction | None]]] = defaultdict(lambda: defaultdict(list))
    for fingerprint in inputs.fingerprints("attempts"):
        for shard in inputs.shards("attempts", fingerprint):
            for row in inputs.rows("attempts", fingerprint, shard):
                if row["sees_image"]:
                    name = re.sub(r"[^A-Za-z0-9._-]+", "_", row["model"])
                    by_model[name][row["query_id"]].append(number_of(row["answer"]))
    merged: defaultdict[str, list[Fraction | None]] = defaultdict(list)
    for model in [target] if target in by_model else sorted(by_model):
        for query, numbers in by_model[model].items():
            merged[query] += numbers
    return dict(merged)


def _share_right(tries: Iterable[Fraction | None], answer: Fraction) -> float | None:
    right = [one == answer for one in tries]
    return sum(right) / len(right) if right else None


def _winners(snapshot: Mapping[str, Any], inputs: Inputs, shown: set[tuple[str | None, str]]) -> dict[str, str]:
    """Return the lineage that each query is taken from: one that people answered, else the earliest in the list."""
    winners: dict[str, str] = {}
    for lineage in snapshot["lineages"]:
        for shard in inputs.shards("queries", lineage):
            for query in inputs.read("queries", lineage, shard)["query_id"].to_pylist():
                held = winners.setdefault(query, lineage)
                if (lineage, query) in shown and (held, query) not in shown:
                    winners[query] = lineage
    return winners
