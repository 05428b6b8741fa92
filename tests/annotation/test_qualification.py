"""Practice rounds, pauses by checks with a known answer, and events that nobody overwrites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.annotation import qualification
from hopchain_etl.annotation.qualification import (
    Event,
    Events,
    PracticeResult,
    Standing,
    failed_checks,
    practice_result,
)
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.evaluation.run import folder_lake
from hopchain_etl.lake.lake import Lake

PAUSED = Event("ann", "paused", "2026-11-27T10:00:00.000+00:00", right=1, of=3, since="2026-11-27T09:00:00.000+00:00")
LIFTED = Event("ann", "lifted", "2026-11-27T11:00:00.000+00:00", by="lead")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return folder_lake(tmp_path)


def checks(results: str, first: int = 0) -> list[dict[str, Any]]:
    """Answers to checks, one a minute: + right, - wrong, s skipped."""
    kinds = {"+": {"right": True}, "-": {"right": False}, "s": {"skipped": True, "right": False}}
    return [{"answered_at": f"2026-11-27T10:{minute:02d}", **kinds[one]} for minute, one in enumerate(results, first)]


@pytest.mark.parametrize(
    ("results", "failed"),
    [
        ("", None),
        ("--", None),  # not three yet
        ("---", (0, "")),
        ("+--", (1, "2026-11-27T10:00")),
        ("++-", None),  # two of three are enough
        ("--+", None),  # the newest is right: it does not get worse
        ("-s-s-", (0, "")),  # a skip is no answer
        ("++++--", (1, "2026-11-27T10:03")),
    ],
)
def test_a_share_of_the_last_checks_below_the_threshold_fails(results: str, failed: tuple[int, str] | None) -> None:
    given = checks(results)
    assert failed_checks(given, "", 0.5, 3) == failed
    assert failed_checks(reversed(given), "", 0.5, 3) == failed


def test_after_a_pause_was_lifted_only_newer_checks_count() -> None:
    given = checks("+---") + checks("-+-", first=10)
    assert failed_checks(given, "2026-11-27T10:05", 0.7, 3) == (1, "2026-11-27T10:11")
    assert failed_checks(given[:-1], "2026-11-27T10:05", 0.7, 3) is None
    assert failed_checks(given, "2026-11-27T10:10", 0.7, 3) is None, "the first of them was answered just then"
    assert failed_checks(checks("---", first=10), "2026-11-27T10:05", 0.7, 3) == (0, "2026-11-27T10:05")


@pytest.mark.parametrize(
    ("results", "reached"),
    [
        ({}, PracticeResult(False, 0)),
        ({0: True, 1: False}, PracticeResult(False, 0, 2, 1)),
        ({0: True, 1: False, 2: True}, PracticeResult(True, 0, last=2)),
        ({0: True, 1: False, 2: False}, PracticeResult(False, 1, last=1)),
        ({0: True, 1: False, 2: False, 4: True}, PracticeResult(False, 1, 1, 1, 1)),
        ({3: True, 4: True, 5: True}, PracticeResult(False, 0)),  # who looks ahead gains nothing
        (dict.fromkeys(range(6), False), PracticeResult(False, 2, last=0)),
    ],
)
def test_enough_right_answers_in_one_round_pass(results: dict[int, bool], reached: PracticeResult) -> None:
    assert practice_result(results, count=3, rounds=2, needed=2) == reached


def test_the_first_answer_to_a_practice_question_counts(lake: Lake) -> None:
    for right in (False, True):
        qualification.keep_practice(lake, "ann", 7, right, "2026-11-27T10:00")
    qualification.keep_practice(lake, "ben", 8, True, "2026-11-27T10:00")
    assert qualification.practised(lake, "ann") == {7: False}
    assert all(annotator_key("ann") in key or annotator_key("ben") in key for key in keys(lake))


def keys(lake: Lake) -> list[str]:
    return [entry.key for entry in lake.store.list_objects("qualification/")]


def test_events_are_kept_and_the_newest_counts(lake: Lake) -> None:
    events = Events(lake)
    assert events.standings() == {}
    assert Standing() == Standing(None, admitted=False), "as long as nothing is said of somebody"
    assert events.add(PAUSED, Standing())
    assert events.standings()["ann"].pause == PAUSED
    assert events.add(LIFTED, Standing(PAUSED))
    admitted = Event("ann", "admitted", "2026-11-27T12:00", by="lead")
    assert events.add(admitted, Standing(LIFTED))
    assert Events(lake).standings() == {"ann": Standing(LIFTED, admitted=True)}
    assert Events(lake).standings()["ann"].pause is None
    assert len(keys(lake)) == 3


def test_of_two_who_act_at_once_the_second_is_refused(lake: Lake) -> None:
    first, second = Events(lake), Events(lake)
    assert first.add(PAUSED, Standing())
    assert not second.add(PAUSED, Standing())
    seen = second.standings()["ann"]
    assert first.add(LIFTED, seen)
    assert not second.add(LIFTED, seen)
    assert len(keys(lake)) == 2


@pytest.mark.parametrize("junk", [b"{", b"[]", b"{}", b"\xff"])
def test_an_event_that_cannot_be_read_stops_nobody(lake: Lake, junk: bytes) -> None:
    assert Events(lake).add(PAUSED, Standing())
    lake.store.put(f"qualification/events/{annotator_key('ann')}.000002.json", junk)
    events = Events(lake)
    assert events.standings()["ann"].pause == PAUSED
    assert events.add(LIFTED, Standing(PAUSED))
    assert Events(lake).standings()["ann"].last == LIFTED
