"""Voiding annotators and taking it back, on a real S3 server, between, during and after collect."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hopchain_etl.annotation import batches, voiding, votes
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import BatchProgress, collect, settle
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.voiding import finish, unvoid, void
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import LakeSettings
from support.s3 import S3Location

pytestmark = pytest.mark.s3

A, B = (hashlib.sha256(name.encode()).hexdigest() for name in "AB")
WHY = {"by": "lead", "reason": "guesses"}


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def asking(lake: Lake, name: str, query: str, people: str, **more: Any) -> None:
    """Store a batch of one query that ``people`` (a letter each) answer alike."""
    batches.create(lake, Batch(name, "a run", (query,), **more))
    for seat, person in enumerate(people, start=1):
        vote(lake, name, query, seat, person)


def vote(lake: Lake, name: str, query: str, seat: int, person: str, rev: int = 1) -> None:
    body = {"query_id": query, "seat": seat, "rev": rev, "annotator": person, "answer": "3", "batch": name,
            "answered_at": "2026-11-22T10:00:00Z"}  # fmt: skip
    assert lake.store.put_if_absent(vote_key(name, query, seat, rev), json.dumps(body).encode())


def run(lake: Lake) -> list[BatchProgress]:
    return collect(lake, lambda table, rows: SuiteResult(rows.num_rows))


def collect_and_announce(lake: Lake) -> list[str]:
    """Return the batches whose event is sent."""
    return [one.id for one in run(lake) if settle(lake, vars(one))]


def states(lake: Lake) -> dict[str, set[str]]:
    return {name: set(kinds) for name, kinds in batches.batch_states(lake).items()}


def test_settled_batches_with_answers_of_the_person_are_computed_and_announced_again(lake: Lake) -> None:
    asking(lake, "with", A, "abcd")
    asking(lake, "closed", A, "abcd")
    batches.close(lake, "closed", by="lead")
    asking(lake, "without", B, "wxyz")
    assert collect_and_announce(lake) == ["closed", "with", "without"]
    assert void(lake, "b", **WHY) == ["closed", "with"]
    assert states(lake) == {"with": {"changed"}, "closed": {"closed", "changed"}, "without": {"decided"}}
    assert [(one.id, one.kept, one.open) for one in run(lake)] == [("closed", 0, 1), ("with", 0, 1)]
    assert collect_and_announce(lake) == ["closed", "with"]  # the event of one that is open again too: rows must go
    assert states(lake) == {"with": set(), "closed": {"closed", "decided"}, "without": {"decided"}}
    assert collect_and_announce(lake) == []
    vote(lake, "with", A, 2, "e", rev=2)
    assert collect_and_announce(lake) == ["with"]
    assert void(lake, "b", **WHY) == []


def test_who_is_counted_again_counts_in_each_batch_again(lake: Lake) -> None:
    asking(lake, "closed", A, "abcd")
    batches.close(lake, "closed", by="lead")
    asking(lake, "open", B, "b")
    collect_and_announce(lake)
    void(lake, "b", **WHY)
    collect_and_announce(lake)
    assert settled_batches(lake)["closed"].kept == 0
    assert unvoid(lake, "b", by="lead") == ["closed"]
    assert votes.voided(lake) == {}
    assert collect_and_announce(lake) == ["closed"]
    assert settled_batches(lake)["closed"].kept == 1
    assert settled_batches(lake)["closed"].annotators == {"a": 1, "b": 1, "c": 1, "d": 1}


@pytest.mark.parametrize("late", [False, True])
def test_a_void_while_a_batch_is_settled_settles_no_stale_votes(
    lake: Lake, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The void comes between collect and announce, or between the write of the record and the look after it."""
    asking(lake, "monday", A, "abcd")
    (progress,) = run(lake)
    if late:
        mark = batches.mark_decided
        monkeypatch.setattr(batches, "mark_decided", lambda *given: (mark(*given), void(lake, "b", **WHY)))
    else:
        void(lake, "b", **WHY)
    assert not settle(lake, vars(progress))
    assert states(lake) == {"monday": {"changed"} if late else set()}
    assert [one.open for one in run(lake)] == [1] * late  # a void that saw the record cannot know of the event


def test_a_vote_taken_back_after_collect_is_not_settled(lake: Lake) -> None:
    asking(lake, "monday", A, "abcd")
    (progress,) = run(lake)
    key = vote_key("monday", A, 2, 2)
    body = {"query_id": A, "seat": 2, "rev": 2, "annotator": "b", "answered_at": "x", "retracted": True}
    lake.store.put(key, json.dumps(body).encode())
    assert not settle(lake, vars(progress))
    assert states(lake) == {"monday": set()}


def settled_monday(lake: Lake, *, voided: bool) -> None:
    """Settle a batch with answers of a, b, c and d, and again after a void of b."""
    asking(lake, "monday", A, "abcd")
    batches.close(lake, "monday", by="lead")
    collect_and_announce(lake)
    if voided:
        void(lake, "b", **WHY)
        collect_and_announce(lake)


@pytest.mark.parametrize("back", [False, True])
def test_what_is_said_while_what_was_said_before_is_finished_is_not_lost(
    lake: Lake, back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled_monday(lake, voided=not back)
    reopen = voiding.reopen

    def meanwhile(lake: Lake, name: str) -> None:
        monkeypatch.setattr(voiding, "reopen", reopen)
        reopen(lake, name)
        unvoid(lake, "b", by="lead") if back else void(lake, "b", **WHY)

    monkeypatch.setattr(voiding, "reopen", meanwhile)
    void(lake, "b", **WHY) if back else unvoid(lake, "b", by="lead")
    assert ("b" in votes.voided(lake)) is not back
    assert finish(lake) == []
    collect_and_announce(lake)
    assert settled_batches(lake)["monday"].kept == int(back)


def test_voids_at_the_same_time_are_both_kept_and_the_last_one_counts(lake: Lake) -> None:
    both = {"annotator": "b", "by": "lead"}
    with ThreadPoolExecutor(8) as threads:
        said = list(
            threads.map(lambda n: votes.put_tombstone(lake, **both, reason=str(n), voided=n % 2 == 0), range(8))
        )
    assert sorted(one.number for one in said) == list(range(1, 9))
    assert votes.tombstones(lake) == [max(said, key=lambda one: one.number)]


def test_a_void_of_an_earlier_version_counts_and_can_be_taken_back(lake: Lake) -> None:
    key = f"annotators/{votes.annotator_key('b')}.voided.json"
    asking(lake, "monday", A, "abcd")
    collect_and_announce(lake)
    lake.put_json(key, {"annotator": "b", "by": "lead", "reason": "guesses", "voided": True, "pending": True})
    assert finish(lake) == ["monday"]
    assert finish(lake) == []
    assert votes.voided(lake)["b"].reason == "guesses"
    unvoid(lake, "b", by="lead")
    assert votes.voided(lake) == {}
    assert finish(lake) == []


@pytest.mark.parametrize("back", [False, True])
def test_what_was_killed_on_the_way_is_finished_by_the_next_collect(
    lake: Lake, back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled_monday(lake, voided=back)

    def killed(lake: Lake, name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(voiding, "reopen", killed)
        with pytest.raises(KeyboardInterrupt):
            unvoid(lake, "b", by="lead") if back else void(lake, "b", **WHY)
    assert states(lake) == {"monday": {"changed", "closed", "decided"}}
    assert finish(lake) == ["monday"]
    assert finish(lake) == []
    assert collect_and_announce(lake) == ["monday"]
    assert settled_batches(lake)["monday"].kept == int(back)
    assert ("b" in votes.voided(lake)) is not back


def test_a_void_is_pending_until_it_is_finished(lake: Lake) -> None:
    begun = voiding.begin(lake, "ann", **WHY)
    assert begun.pending
    assert [one.pending for one in votes.tombstones(lake)] == [True]
    finish(lake)
    assert [one.pending for one in votes.tombstones(lake)] == [False]
