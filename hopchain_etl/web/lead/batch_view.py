"""A batch as a lead sees it: its valid votes and outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hopchain_etl.annotation.agreement import vote_value
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import Vote, in_full_sample
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision, parse_answer, tally_votes

Votes = dict[str, list[Vote]]


@dataclass(frozen=True)
class BatchView:
    """A batch with its valid votes by query, its states (``kinds``), and its number of late answers.

    ``withdrawn`` are the queries whose photos are withdrawn; ``known`` the outcomes that were computed before.
    """

    batch: Batch
    kinds: frozenset[str]
    votes: Votes
    late: int
    withdrawn: frozenset[str] = frozenset()
    known: dict[str, ConsensusOutcome] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def rule(self) -> ConsensusRule:
        """The consensus rule of the batch."""
        return ConsensusRule.from_policy(self.batch.policy)

    def outcome(self, query: str) -> ConsensusOutcome:
        """Return the outcome of a query."""
        if query not in self.known:
            given = ((one.annotator, one.number) for one in self.votes[query])
            self.known[query] = tally_votes(given, self.rule)
        return self.known[query]

    def tally(self) -> Counter[Decision]:
        """Return the number of queries by decision, without withdrawn ones."""
        return Counter(self.outcome(query).decision for query in self.votes if query not in self.withdrawn)

    def open_queries(self) -> list[str]:
        """Return the queries that are not decided and not withdrawn."""
        left = (query for query in self.votes if query not in self.withdrawn)
        return [query for query in left if self.outcome(query).decision is Decision.OPEN]

    @property
    def full(self) -> list[str]:
        """The queries that are answered on every seat (full sample)."""
        share = float(self.batch.policy.get("full_share", 0))
        return [query for query in self.batch.query_ids if in_full_sample(query, share)]

    def is_disputed(self, query: str, row: Mapping[str, Any] | None) -> bool:
        """Return whether annotators disagree, someone rejected or was unsure, or the program has another answer."""
        votes, final = self.votes[query], self.outcome(query).answer
        program_differs = final is not None and row is not None and final != parse_answer(row["answer"])
        marked = any(one.reject_reason or one.unsure for one in votes)
        return marked or len(set(map(vote_value, votes))) > 1 or program_differs
