"""Human answers in a release: the answers to each query, the verdict on them, and the lineage that they select."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.consensus import ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.settings import Policy

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The result of the human answers to a query: the released answer, or the drop reason."""

    answer: Fraction | None = None
    policy: str = Policy.UNANIMOUS.value
    dropped: str | None = None


def consensus_verdict(program: Fraction, answers: Iterable[Row], policy: Policy, rule: ConsensusRule) -> Verdict:
    """Return the verdict on a query from its human answers (rows of ``answers``) under a policy.

    As many different people as the rule requires must agree (the paper: four of four); a human answer is never
    replaced by the program's answer.
    """
    given = list(answers)
    if not given and policy is Policy.UNREVIEWED:
        return Verdict(program, Policy.UNREVIEWED.value)
    outcome = tally_votes(((one["annotator"], parse_answer(one["answer"])) for one in given), rule)
    if outcome.decision is Decision.KEPT:
        return Verdict(outcome.answer, rule.name)
    return Verdict(dropped="no_consensus" if outcome.decision is Decision.DROPPED else "not_enough_answers")


def read_human_answers(
    inputs: Inputs, asked: Mapping[str, str | None]
) -> tuple[dict[str, list[Row]], set[tuple[str | None, str]]]:
    """Return the answers to each query, one per seat, and the set of (lineage, query_id) that people were shown.

    ``asked`` gives the lineage of each answers fingerprint.
    """
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


def lineage_of_queries(lineages: Iterable[str], inputs: Inputs, shown: set[tuple[str | None, str]]) -> dict[str, str]:
    """Return the lineage each query is taken from: one that humans answered, otherwise the first in the list."""
    winners: dict[str, str] = {}
    for lineage in lineages:
        for shard in inputs.shards("queries", lineage):
            for query in inputs.read("queries", lineage, shard, columns=["query_id"])["query_id"].to_pylist():
                held = winners.setdefault(query, lineage)
                if (lineage, query) in shown and (held, query) not in shown:
                    winners[query] = lineage
    return winners
