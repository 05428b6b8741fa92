"""Human answers in a release: what people decided about each question, under the rule of the batch they were asked in.

A question is judged by the rule that is stored with the batch whose answers decide it, not by today's settings: raising
``desk.agree`` does not take back what earlier batches decided. If a question was asked in several batches, each batch
judges its own answers (which include those of the batches that it continues), and the batch with the newest answer to
it among those that decided counts; if none decided, the one with the newest answer. Answers of different batches are
never added up.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.hops.consensus import ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.release.query_keys import Keys, Mask, as_keys, find, keys_of, starts_of
from hopchain_etl.settings import Policy

_COLUMNS = ["query_id", "seat", "annotator", "answer", "answered_at"]
_DECISIONS = tuple(Decision)

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


class HumanAnswers:
    """What people decided about every query, in columns: about 100 bytes a query, and each text once."""

    def __init__(
        self, tables: Tables, facts: Mapping[str, Any], voided: Callable[[str], bool] = lambda name: False
    ) -> None:
        """Read every answers table. ``facts`` are a snapshot, or ``answer_facts`` with the rule ``consensus``.

        ``voided`` says whose answers do not count: the tables may not have been collected since somebody was voided.
        """
        columns = _Columns(facts)
        for fingerprint in tables.fingerprints("answers"):
            for shard in tables.shards("answers", fingerprint):
                rows = tables.read("answers", fingerprint, shard, _COLUMNS)
                columns.add(fingerprint, _without(rows, voided))
        keys = as_keys(columns.keys)
        decided = np.frombuffer(columns.decisions, np.int8) != _DECISIONS.index(Decision.OPEN)
        order = np.lexsort((np.concatenate([np.empty(0, "S1"), *columns.newest]), decided, keys))
        last = np.append(starts_of(keys[order])[1:], True) if len(keys) else np.empty(0, np.bool_)
        self._columns, self._places = columns, order[last]
        self._keys = keys[self._places]
        self._shown = _shown(columns, keys)

    def of(self, keys: Keys) -> dict[int, Answered]:
        """Return what people said of those of the queries that they have answered, by place in ``keys``."""
        places = find(self._keys, keys)
        return {int(at): self._columns.answered(int(self._places[places[at]])) for at in np.flatnonzero(places >= 0)}

    def shown(self, lineage: str, keys: Keys) -> Mask:
        """Return which queries people were shown as this lineage wrote them."""
        return find(self._shown.get(lineage, as_keys(b"")), keys) >= 0


def _without(rows: pa.Table, voided: Callable[[str], bool]) -> pa.Table:
    gone = [name for name in pc.unique(rows["annotator"]).to_pylist() if voided(name)]
    return rows.filter(pc.invert(pc.is_in(rows["annotator"], value_set=pa.array(gone, pa.string())))) if gone else rows


def _shown(columns: _Columns, keys: Keys) -> dict[str, Keys]:
    lineages = np.frombuffer(columns.lineages, np.int32) if len(keys) else np.empty(0, np.int32)
    found = {name: np.sort(keys[lineages == code]) for code, name in enumerate(columns.lineage_names) if name}
    return {name: some[starts_of(some)] for name, some in found.items()}


class _Columns:
    """One entry for each query of each batch. Texts are stored as numbers of ``texts``."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._asked: Mapping[str, str | None] = facts["asked"]
        self._policies: Mapping[str, Mapping[str, Any]] = facts.get("policies", {})  # old snapshots have none
        self._otherwise = facts["consensus"]
        self._texts: list[str | None] = []
        self._codes: dict[str | None, int] = {}
        self._rules: list[ConsensusRule] = []
        self.lineage_names: list[str | None] = []
        self.keys = bytearray()
        self.decisions, self.lineages, self._batches = array("b"), array("i"), array("i")
        self._released, self._answers, self._people = array("i"), array("i"), array("i")
        self._ends = array("q", [0])
        self.newest: list[Any] = []  # arrays of bytes: when the newest answer of each was given, as it was written

    def add(self, fingerprint: str, rows: pa.Table) -> None:
        """Add the answers of a batch."""
        rule = ConsensusRule.from_policy(self._policies.get(fingerprint, self._otherwise))
        if (lineage := self._asked[fingerprint]) not in self.lineage_names:
            self.lineage_names.append(lineage)
        ordered = rows.sort_by([("query_id", "ascending"), ("seat", "ascending")]).to_pylist()
        ids, newest = [], []
        for query, group in groupby(ordered, key=lambda row: str(row["query_id"])):
            given = list(group)
            ids.append(query)
            newest.append(max((row["answered_at"] or "").encode() for row in given))
            outcome = tally_votes(((row["annotator"], parse_answer(row["answer"])) for row in given), rule)
            self.decisions.append(_DECISIONS.index(outcome.decision))
            self._released.append(self._code(None if outcome.answer is None else decimal_text(outcome.answer)))
            self._answers.extend(self._code(row["answer"]) for row in given)
            self._people.extend(self._code(row["annotator"]) for row in given)
            self._ends.append(len(self._answers))
        self.keys += keys_of(ids).tobytes()
        self.newest.append(np.array(newest, "S"))
        self.lineages.extend([self.lineage_names.index(lineage)] * len(ids))
        self._batches.extend([len(self._rules)] * len(ids))
        self._rules.append(rule)

    def _code(self, text: str | None) -> int:
        if text not in self._codes:
            self._codes[text] = len(self._texts)
            self._texts.append(text)
        return self._codes[text]

    def answered(self, place: int) -> Answered:
        """Return one entry."""
        given = slice(self._ends[place], self._ends[place + 1])
        text = self._texts[self._released[place]]
        answer, rule = None if text is None else Fraction(text), self._rules[self._batches[place]]
        return Answered(
            _verdict(_DECISIONS[self.decisions[place]], answer, rule),
            tuple(self._texts[code] for code in self._answers[given]),
            tuple(str(self._texts[code]) for code in self._people[given]),
        )
