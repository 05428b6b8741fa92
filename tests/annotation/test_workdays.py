"""What people did, counted by day: each answer once, pairs from both sides, and times that nobody can blow up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation.votes import Vote, valid_votes
from hopchain_etl.annotation.workdays import (
    ACTIVE,
    MOST_SECONDS,
    Fact,
    milliseconds,
    work_on_checks,
    work_on_question,
    work_on_skip,
)

DAY, NEXT = "2026-11-26", "2026-11-27"


def vote(who: str, seat: int, answer: str | None = "5", rev: int = 1, day: str = DAY, **more: Any) -> Vote:
    said = {"answer": answer} if answer else {"reject_reason": "ambiguous"}
    said = {} if more.get("retracted") else said
    return Vote(
        query_id="q", seat=seat, rev=rev, annotator=who, answered_at=f"{day}T09:00:00.000+00:00", **said, **more
    )


def counted(votes: list[Vote], too_fast: float = 3, mine: set[tuple[int, int]] | None = None) -> Counter[Fact]:
    own = {(one.seat, one.rev) for one in votes} if mine is None else mine
    stored = [one for one in votes if (one.seat, one.rev) in own or not one.seat]
    return work_on_question(stored, list(valid_votes(one for one in votes if one.seat).values()), own, too_fast)


def test_each_answer_counts_on_its_day_with_active_time_before_visible_time() -> None:
    found = counted([vote("ann", 1, seconds=20, active_seconds=12.5), vote("ben", 2, None, day=NEXT, seconds=8)])
    assert found[Fact("answers", "ann", "", DAY)] == 1
    assert found[Fact(ACTIVE, "ann", "", DAY)] == 12_500
    assert found[Fact("rejects", "ben", "", NEXT)] == 1
    assert found[Fact(ACTIVE, "ben", "", NEXT)] == 8_000
    assert found[Fact("compared", "ann", "ben", DAY)] == found[Fact("compared", "ben", "ann", NEXT)] == 1
    assert not [fact for fact in found if fact.name == "equal"]


def test_an_answer_that_was_taken_back_is_work_and_no_answer() -> None:
    back = [vote("ann", 1, seconds=10), vote("ann", 1, rev=2, retracted=True), vote("ann", 1, "6", rev=3, seconds=4)]
    found = counted([*back, vote("ben", 2, "6.0")])
    assert found[Fact("answers", "ann", "", DAY)] == 1
    assert found[Fact(ACTIVE, "ann", "", DAY)] == 14_000
    assert found[Fact("equal", "ann", "ben", DAY)] == found[Fact("equal", "ben", "ann", DAY)] == 1


def test_late_answers_are_work_and_are_compared_with_nobody() -> None:
    found = counted([vote("ann", 1), vote("ben", 0, rev=0, seconds=2)])
    assert found[Fact("late", "ben", "", DAY)] == found[Fact("answers", "ben", "", DAY)] == 1
    assert not [fact for fact in found if fact.other]


def test_only_answers_below_the_limit_are_too_fast_and_unknown_times_are_not() -> None:
    given_ = [vote("ann", 1, seconds=9, active_seconds=2.9), vote("ben", 2, seconds=3), vote("cleo", 3)]
    found = counted([*given_, vote("dan", 4, None, seconds=1)])
    assert {fact.annotator for fact in found if fact.name == "too_fast"} == {"ann"}


def test_votes_of_a_continued_batch_are_counted_there_and_compared_with_new_ones_here() -> None:
    found = counted([vote("ann", 1), vote("ben", 2), vote("cleo", 3)], mine={(3, 1)})
    assert {fact.annotator for fact in found if fact.name == "answers"} == {"cleo"}
    pairs = {(fact.annotator, fact.other) for fact in found if fact.name == "compared"}
    assert pairs == {("ann", "cleo"), ("cleo", "ann"), ("ben", "cleo"), ("cleo", "ben")}


def test_checks_and_skips() -> None:
    asked = {"annotator": "ann", "answered_at": f"{DAY}T10:00:00+00:00"}
    found = work_on_checks([{**asked, "right": True, "seconds": 60, "active_seconds": 4}, {**asked, "right": False},
                            {**asked, "skipped": True, "active_seconds": 1}, {**asked, "skipped": True, "seconds": 20},
                            {"annotator": "ben", "right": True}])  # fmt: skip
    counts = {fact.name: count for fact, count in found.items() if fact == Fact(fact.name, "ann", "", DAY)}
    assert counts == {"checks": 2, "checks_right": 1, "skips": 2, ACTIVE: 25_000}
    others = {fact: count for fact, count in found.items() if fact.annotator != "ann"}
    assert others == {
        Fact("checks", "ben", "", ""): 1,
        Fact("checks_right", "ben", "", ""): 1,
        Fact(ACTIVE, "ben", "", ""): 0,
    }
    assert len(found) == len(counts) + len(others)
    assert work_on_skip("ann", f"{DAY}T10:00:00+00:00", 2) == {
        Fact("skips", "ann", "", DAY): 1,
        Fact(ACTIVE, "ann", "", DAY): 2_000,
    }
    assert not work_on_skip("", "", None)  # of an earlier version


@pytest.mark.parametrize(("seconds", "counts"), [(None, 0), (-5, 0), (86_400, 1_000 * MOST_SECONDS), (1.2345, 1_234)])
def test_a_time_is_never_negative_nor_longer_than_a_question_can_take(seconds: float | None, counts: float) -> None:
    assert milliseconds(seconds) == counts


@given(st.lists(st.floats(0, 2_000), min_size=1, max_size=30))
def test_adding_and_taking_away_leaves_nothing(times: list[float]) -> None:
    parts = [counted([vote("ann", 1, seconds=time), vote("ben", 2, "7", seconds=time / 3)]) for time in times]
    total: Counter[Fact] = Counter()
    for part in parts:
        total.update(part)
    for part in parts:
        total.subtract(part)
    assert not +total
