"""What people did on each day, as counts that are added up question by question; so no report reads votes anew.

A count belongs to one person and day (UTC). Counts of agreement also name the other person: of each pair of answers
that count, both people have one ``compared``, and one ``equal`` if the answers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import combinations
from typing import Any, NamedTuple

from hopchain_etl.annotation.agreement import vote_value
from hopchain_etl.annotation.votes import Vote

ACTIVE = "active_ms"
OF_PAIRS = ("compared", "equal")
MOST_SECONDS = 1_800.0  # of active time that one question can count for: a browser measures it, and may say anything


class Fact(NamedTuple):
    """What is counted: ``name`` is answers, rejects, late, too_fast, skips, checks, checks_right, ACTIVE or OF_PAIRS.

    ``late`` answers and those that are ``too_fast`` are also in answers or rejects. ``other`` is empty except in pairs.
    """

    name: str
    annotator: str
    other: str
    day: str


Work = Counter[Fact]


def work_on_question(
    stored: Iterable[Vote], counted: Sequence[Vote], mine: Set[tuple[int, int]], too_fast: float
) -> Work:
    """Return what was done about a question in one batch.

    ``stored``: all votes and retractions that are stored in this batch, late ones with seat 0; ``counted``: the votes
    that count, also those of continued batches; ``mine``: seat and revision of those that are stored in this batch.
    Pairs of votes that were both stored in another batch are counted there.
    """
    work: Work = Counter()
    stored = list(stored)
    taken_back = {(one.seat, one.rev - 1) for one in stored if one.retracted}
    for vote in stored:
        if vote.retracted:
            continue
        day = vote.answered_at[:10]
        seconds = vote.seconds if vote.active_seconds is None else vote.active_seconds
        work[Fact(ACTIVE, vote.annotator, "", day)] += milliseconds(seconds)
        if (vote.seat, vote.rev) not in taken_back:
            names = ["rejects" if vote.reject_reason else "answers"]
            names += ["late"] if not vote.seat else []
            names += ["too_fast"] if seconds is not None and seconds < too_fast and not vote.reject_reason else []
            work.update(Fact(name, vote.annotator, "", day) for name in names)
    for one, other in combinations(counted, 2):
        if mine.isdisjoint({(one.seat, one.rev), (other.seat, other.rev)}):
            continue
        names = list(OF_PAIRS if vote_value(one) == vote_value(other) else OF_PAIRS[:1])
        for vote, rest in ((one, other), (other, one)):
            work.update(Fact(name, vote.annotator, rest.annotator, vote.answered_at[:10]) for name in names)
    return work


def work_on_skip(annotator: str, skipped_at: str, active_seconds: float | None) -> Work:
    """Return what a skip counts for; nothing if it does not say who skipped, as in earlier versions."""
    day = skipped_at[:10]
    if not annotator:
        return Counter()
    return Counter(
        {Fact("skips", annotator, "", day): 1, Fact(ACTIVE, annotator, "", day): milliseconds(active_seconds)}
    )


def work_on_checks(answers: Iterable[Mapping[str, Any]]) -> Work:
    """Return what answers to checks count for, skipped ones included. ``answers`` are those of ``gold.Gold``."""
    work: Work = Counter()
    for one in answers:
        who, day = one["annotator"], str(one.get("answered_at", ""))[:10]
        seconds = one.get("active_seconds")
        work[Fact(ACTIVE, who, "", day)] += milliseconds(one.get("seconds") if seconds is None else seconds)
        if one.get("skipped"):
            work[Fact("skips", who, "", day)] += 1
        else:
            work[Fact("checks", who, "", day)] += 1
            work[Fact("checks_right", who, "", day)] += bool(one.get("right"))
    return work


def milliseconds(seconds: float | None) -> int:
    """Return the time as a whole number, so that adding and subtracting never drifts; at most MOST_SECONDS of it.

    Votes of earlier versions only say how long the question was visible, which may be a lunch break.
    """
    return round(1_000 * min(max(seconds or 0.0, 0.0), MOST_SECONDS))
