"""Human answers in a release: what people decided about each question, under the rule of the batch they were asked in.

A question is judged by the rule that is stored with the batch whose answers decide it, not by today's settings: raising
``desk.agree`` does not take back what earlier batches decided. If a question was asked in several batches, each batch
judges its own answers (which include those of the batches that it continues), and the batch with the newest answer to
it among those that decided counts; if none decided, the one with the newest answer. Answers of different batches are
never added up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopchain_etl.hops.consensus import ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.view import Derive, each
from hopchain_etl.release.places import parse_place, place_name
from hopchain_etl.release.query_keys import Keys, Mask, as_keys, find, keys_in, keys_of, starts_of
from hopchain_etl.settings import Policy

_COLUMNS = ["query_id", "seat", "annotator", "answer", "answered_at"]
_DECISIONS = tuple(Decision)
_TOLD = ["decision", "released", "answers", "people"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The result of the human answers to a query: the released answer and the rule, or the drop reason."""

    answer: Fraction | None = None
    policy: str = Policy.UNANIMOUS.value
    dropped: str | None = None


def consensus_verdict(program: Fraction, answers: Iterable[Row], policy: Policy, rule: ConsensusRule) -> Verdict:
    """Return the verdict on a query from its human answers (rows of ``answers``) in one batch.

    As many different people as the batch's rule requires must agree (the paper: four of four); a human answer is never
    replaced by the program's answer. ``policy`` matters only for a query without any answer.
    """
    given = list(answers)
    if not given and policy is Policy.UNREVIEWED:
        return Verdict(program, Policy.UNREVIEWED.value)
    outcome = tally_votes(((one["annotator"], parse_answer(one["answer"])) for one in given), rule)
    return _verdict(outcome.decision, outcome.answer, rule)


def _verdict(decision: Decision, answer: Fraction | None, rule: ConsensusRule) -> Verdict:
    if decision is Decision.KEPT:
        return Verdict(answer, rule.name)
    return Verdict(dropped="no_consensus" if decision is Decision.DROPPED else "not_enough_answers")


@dataclass(frozen=True)
class Answered:
    """What people said of one query: the verdict, and the answers that lead to it, by seat."""

    verdict: Verdict
    answers: tuple[str | None, ...]
    annotators: tuple[str, ...]


class Tables(Protocol):
    """Reads tables shard by shard."""

    def fingerprints(self, table: str) -> list[str]:
        """Return the fingerprints of a table."""

    def shards(self, table: str, fingerprint: str | None) -> list[Shard]:
        """Return the shards of a table."""

    def read(self, table: str, fingerprint: str | None, shard: Shard, columns: Sequence[str] | None) -> pa.Table:
        """Return the rows of a shard."""


def answer_facts(lake: Lake, fingerprints: Iterable[str]) -> dict[str, Any]:
    """Return what the lake says about answers tables: the lineage that people were ``asked``, and the ``policies``.

    A policy says how many of how many people had to agree; a table that does not say so has none.
    """
    found = {one: lake.get_json(f"lineages/{one}.json") or {} for one in sorted(set(fingerprints))}
    rules = {name: ConsensusRule.from_policy(facts["recipe"]) for name, facts in found.items()
             if "seats" in facts.get("recipe", {})}  # fmt: skip
    return {
        "asked": {name: facts.get("upstream") for name, facts in found.items()},
        "policies": {name: {"seats": rule.seats, "agree": rule.agree} for name, rule in rules.items()},
    }


ENTRIES = pa.schema(
    [
        ("place", pa.string()),  # fingerprint and shard of the answers table
        ("key", pa.binary(16)),  # of the query
        ("decision", pa.int8()),  # place in _DECISIONS
        ("released", pa.string()),
        ("newest", pa.string()),  # when the newest answer was given, as it was written
        ("answers", pa.list_(pa.string())),  # by seat
        ("people", pa.list_(pa.string())),
        ("digest", pa.binary(16)),  # over all that is said of the query
    ]
)


class HumanAnswers:
    """What people decided about every query, one row of ENTRIES for each query of each batch."""

    def __init__(
        self,
        tables: Tables,
        facts: Mapping[str, Any],
        voided: Callable[[str], bool] = lambda name: False,
        keep: Callable[[Mapping[str, str], Derive], pa.Table] | None = None,
    ) -> None:
        """Read every answers table. ``facts`` are a snapshot, or ``answer_facts`` with the rule ``consensus``.

        ``voided`` says whose answers do not count: the tables may not have been collected since somebody was voided.
        ``keep`` returns the rows of places, given the rule of each, and derives those that it does not have.
        """
        asked: Mapping[str, str | None] = facts["asked"]
        policies: Mapping[str, Mapping[str, Any]] = facts.get("policies", {})  # old snapshots have none
        places = {
            place_name((fingerprint, shard)): ConsensusRule.from_policy(policies.get(fingerprint, facts["consensus"]))
            for fingerprint in tables.fingerprints("answers")
            for shard in tables.shards("answers", fingerprint)
        }

        def read(place: str) -> pa.Table:
            rows = tables.read("answers", *parse_place(place), _COLUMNS)
            return _entries(place, _without(rows, voided), places[place])

        derive = each(read)
        rules = {place: f"{rule.agree} of {rule.seats}" for place, rule in places.items()}
        found = (
            keep(rules, derive)
            if keep
            else pa.concat_tables([ENTRIES.empty_table(), *(rows for _, rows in derive(list(places)))])
        )
        keys, of_place = keys_in(found["key"]), _numbered(found["place"], places)
        decided = found["decision"].to_numpy() != _DECISIONS.index(Decision.OPEN)
        newest = np.array([(text or "").encode() for text in found["newest"].to_pylist()], "S")
        order = np.lexsort((of_place, newest, decided, keys))
        last = order[np.append(starts_of(keys[order])[1:], True)] if len(keys) else order
        self._shown = _shown(keys, of_place, [asked[parse_place(place)[0]] for place in places])
        rules_of = list(places.values())
        self._keys, self._rules = keys[last], [rules_of[number] for number in of_place[last].tolist()]
        self._digests = keys_in(found["digest"])[last]
        self._rows = found.select(_TOLD).take(pa.array(last, pa.int64())).combine_chunks()

    def of(self, keys: Keys) -> dict[int, Answered]:
        """Return what people said of those of the queries that they have answered, by place in ``keys``."""
        places = find(self._keys, keys)
        asked = np.flatnonzero(places >= 0)
        rows = self._rows.take(pa.array(places[asked], pa.int64())).to_pylist()
        rules = (self._rules[place] for place in places[asked])
        return {int(at): _answered(row, rule) for at, row, rule in zip(asked, rows, rules, strict=True)}

    def digest(self, keys: Keys) -> bytes:
        """Return bytes that determine all that ``of`` returns for these queries."""
        places = find(self._keys, keys)
        return (places >= 0).tobytes() + self._digests[places[places >= 0]].tobytes()

    def shown(self, lineage: str, keys: Keys) -> Mask:
        """Return which queries people were shown as this lineage wrote them."""
        return find(self._shown.get(lineage, as_keys(b"")), keys) >= 0


def _without(rows: pa.Table, voided: Callable[[str], bool]) -> pa.Table:
    gone = [name for name in pc.unique(rows["annotator"]).to_pylist() if name and voided(name)]
    return rows.filter(pc.invert(pc.is_in(rows["annotator"], value_set=pa.array(gone, pa.string())))) if gone else rows


def _entries(place: str, rows: pa.Table, rule: ConsensusRule) -> pa.Table:
    """Return the entries of one batch (ENTRIES)."""
    entries = []
    ordered = rows.sort_by([("query_id", "ascending"), ("seat", "ascending")]).to_pylist()
    for query, group in groupby(ordered, key=lambda row: str(row["query_id"])):
        given = list(group)
        outcome = tally_votes(((row["annotator"], parse_answer(row["answer"])) for row in given), rule)
        told = {
            "decision": _DECISIONS.index(outcome.decision),
            "released": None if outcome.answer is None else decimal_text(outcome.answer),
            "answers": [row["answer"] for row in given],
            "people": [row["annotator"] for row in given],
        }
        digest = hashlib.blake2b(repr((told, rule)).encode(), digest_size=16).digest()
        newest = max(row["answered_at"] or "" for row in given)
        key = keys_of([query]).tobytes()
        entries.append({"place": place, "key": key, "newest": newest, "digest": digest, **told})
    return pa.Table.from_pylist(entries, schema=ENTRIES)


def _answered(row: Row, rule: ConsensusRule) -> Answered:
    answer = None if row["released"] is None else Fraction(row["released"])
    verdict = _verdict(_DECISIONS[row["decision"]], answer, rule)
    return Answered(verdict, tuple(row["answers"]), tuple(map(str, row["people"])))


def _numbered(column: pa.ChunkedArray, names: Iterable[str]) -> NDArray[np.int64]:
    """Return the number of each name of a column."""
    found = pc.index_in(column, value_set=pa.array(list(names), pa.string()))
    return np.asarray(found.to_numpy(), np.int64)


def _shown(keys: Keys, places: NDArray[np.int64], lineages: Sequence[str | None]) -> dict[str, Keys]:
    """Return the keys of the queries that people were shown, by lineage, sorted."""
    names = sorted({name for name in lineages if name})
    codes = np.array([names.index(name) if name else -1 for name in lineages], np.int64)[places]
    found = {name: np.sort(keys[codes == code]) for code, name in enumerate(names)}
    return {name: some[starts_of(some)] for name, some in found.items()}
