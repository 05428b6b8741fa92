"""Which of the stored votes counts, and which questions all seats answer."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation import votes
from hopchain_etl.annotation.votes import VOTE_KEY, Vote, in_full_sample, valid_votes, vote_key
from support.memory_store import MemoryStore, lake_in

QUERY = "a" * 64


def vote(seat: int, rev: int, annotator: str, answer: str = "1", **more: Any) -> Vote:
    return Vote(query_id=QUERY, seat=seat, rev=rev, annotator=annotator, answer=answer, answered_at="", **more)


def valid(*votes: Vote, voided: tuple[str, ...] = ()) -> dict[int, tuple[str, str | None]]:
    return {seat: (one.annotator, one.answer) for seat, one in valid_votes(votes, voided).items()}


@pytest.mark.parametrize("name", ["seconds", "active_seconds"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_times_are_numbers(name: str, value: float) -> None:
    assert getattr(vote(1, 1, "ann", **{name: 2.5}), name) == 2.5
    with pytest.raises(ValueError, match="finite"):
        vote(1, 1, "ann", **{name: value})


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_highest_revision_of_a_seat_counts(newest_first: bool) -> None:
    votes = [vote(1, 1, "ann", "1"), vote(1, 2, "ann", "2"), vote(1, 10, "ann", "3"), vote(2, 1, "ben", "4")]
    assert valid(*(votes[::-1] if newest_first else votes)) == {1: ("ann", "3"), 2: ("ben", "4")}


def test_of_equal_revisions_the_later_one_counts() -> None:
    assert valid(vote(1, 3, "ann", "1"), vote(1, 3, "ben", "2")) == {1: ("ben", "2")}


def test_a_seat_is_free_again_after_an_undo_or_a_void() -> None:
    first, undone = vote(1, 1, "ann"), vote(1, 2, "ann", retracted=True)
    assert valid(first, undone) == {}
    assert valid(first, undone, vote(1, 3, "ben", "5")) == {1: ("ben", "5")}
    assert valid(first, vote(2, 1, "ben"), voided=("ann",)) == {2: ("ben", "1")}


def test_a_person_counts_once_on_the_lowest_seat_where_the_vote_is_valid() -> None:
    assert valid(vote(3, 1, "ann", "3"), vote(2, 1, "ann", "2"), vote(1, 1, "ben")) == {
        1: ("ben", "1"),
        2: ("ann", "2"),
    }
    assert valid(vote(1, 1, "ann", retracted=True), vote(2, 1, "ann", "2")) == {2: ("ann", "2")}


def test_of_two_who_void_somebody_at_once_both_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_in(MemoryStore())
    given = {"by": "lead", "reason": "guesses"}
    assert votes.put_tombstone(lake, "ann", **given, voided=True).number == 1
    with monkeypatch.context() as at_once:
        at_once.setattr(votes, "tombstones", lambda lake: [])  # as both saw it
        assert votes.put_tombstone(lake, "ann", **given, voided=False).number == 2
    assert votes.put_tombstone(lake, "ben", **given, voided=True).number == 1
    assert votes.voided(lake).keys() == {"ben"}


def test_what_an_earlier_version_said_of_somebody_is_done_unless_it_says_otherwise() -> None:
    lake = lake_in(MemoryStore())
    lake.put_json("annotators/a.voided.json", {"annotator": "ann", "by": "lead"})
    lake.put_json("annotators/b.voided.json", {"annotator": "ben", "reason": "guesses", "pending": True})
    lake.put_json("annotators/c.0001.voided.json", {"annotator": "cem"})
    lake.put_json("annotators/d.0001.voided.json", {"annotator": "dan"})
    lake.put_json("annotators/d.0001.finished.json", {})
    lake.put_json("annotators/e.voided.json", {"annotator": "eve"})
    lake.put_json("annotators/e.0003.voided.json", {"annotator": "eve", "voided": False})
    lake.put_json("annotators/e.0002.voided.json", {"annotator": "eve"})
    assert votes.tombstones(lake) == [
        votes.Tombstone("ann", "lead", "", voided=True, number=0, pending=False),
        votes.Tombstone("ben", "", "guesses", voided=True, number=0, pending=True),
        votes.Tombstone("cem", "", "", voided=True, number=1, pending=True),
        votes.Tombstone("dan", "", "", voided=True, number=1, pending=False),
        votes.Tombstone("eve", "", "", voided=False, number=3, pending=True),
    ]
    assert votes.put_tombstone(lake, "eve", by="lead", reason="", voided=True).number == 4


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_full_sample_is_a_share_of_all_questions(share: float) -> None:
    names = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(2000)]
    assert sum(in_full_sample(name, share) for name in names) / len(names) == pytest.approx(share, abs=0.03)
    assert in_full_sample("0" * 64, 1e-9)
    assert not in_full_sample("8" + "0" * 63, 0.5), "half means less than half of the numbers"
    assert in_full_sample("f" * 64, 1.0)


@given(st.integers(0, 99), st.integers(0, 10**9 - 1))
def test_the_key_of_a_vote_says_whose_it_is(seat: int, rev: int) -> None:
    match = VOTE_KEY.fullmatch(vote_key("monday", QUERY, seat, rev))
    assert match
    assert match.groupdict() == {"batch": "monday", "query": QUERY, "seat": str(seat), "rev": str(rev)}


def test_who_a_key_belongs_to_is_the_same_in_every_version() -> None:
    assert votes.annotator_key("ann") == hashlib.sha256(b"ann").hexdigest()[:16]
    assert votes.annotator_key("Zoë") == hashlib.sha256("Zoë".encode()).hexdigest()[:16]
