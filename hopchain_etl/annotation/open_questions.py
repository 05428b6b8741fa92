"""What people are still asked: questions and seats of all open batches, for how long, and how much answers agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.agreement import alpha, vote_value
from hopchain_etl.annotation.collect import is_open, valid_votes_by_query
from hopchain_etl.annotation.withdrawn import withdrawn_of_batches
from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.lake.lake import Lake


@dataclass(frozen=True)
class OpenQuestions:
    """Figures over all open batches. ``seats``: answers that open questions can still get.

    ``oldest_seconds``: since the oldest batch with an open question was made; 0 without any. ``alpha``: Krippendorff's,
    of the first two answers of each question; None if it is not defined.
    """

    batches: int
    questions: int
    seats: int
    oldest_seconds: float
    alpha: float | None


def open_questions(lake: Lake) -> OpenQuestions:
    """Return the figures as of the last collect. Batches that cannot be read are left out: collect names them."""
    listed = {name: one for name, one in batches.listed(lake).items() if not one.states & {"closed", "decided"}}
    withdrawn = withdrawn_of_batches(lake, listed.values())
    count, questions, seats, units, since = 0, 0, 0, [], []
    for name, one in listed.items():
        try:
            batch = batches.load(lake, name)
            given = valid_votes_by_query(lake, batch)
        except batches.UNREADABLE:
            continue
        rule, share = ConsensusRule.from_policy(batch.policy), float(batch.policy.get("full_share", 0))
        asked = {query: cast for query, cast in given.items() if query not in withdrawn}
        waiting = [cast for query, cast in asked.items() if is_open(query, cast, rule, share)]
        count += 1
        questions += len(waiting)
        seats += sum(rule.seats - len({vote.annotator for vote in cast}) for cast in waiting)
        first_two = [sorted(cast, key=lambda vote: vote.answered_at)[:2] for cast in asked.values()]
        units += [[vote_value(vote) for vote in two] for two in first_two]
        since += [one.modified] if waiting else []
    now = datetime.fromtimestamp(lake.store.now(), UTC)
    age = (now - min(since)).total_seconds() if since else 0.0
    return OpenQuestions(count, questions, seats, max(0.0, age), alpha(units))
