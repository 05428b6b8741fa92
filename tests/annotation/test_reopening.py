"""A closed batch that is opened again keeps its votes, also if it was settled and packed meanwhile."""

from __future__ import annotations

from itertools import count

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import BatchProgress, collect, settle
from hopchain_etl.annotation.reopening import ContinuedElsewhereError, continued_by, reopen_closed
from hopchain_etl.annotation.vote_archive import pack
from hopchain_etl.annotation.votes import Vote, vote_key
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult
from support.lost_locks import stopped_by_a_lost_lock
from support.memory_store import KilledError, MemoryStore, lake_in

A, B = "a" * 64, "b" * 64


def vote(lake: Lake, name: str, query: str, seat: int) -> None:
    said = Vote(query_id=query, seat=seat, rev=1, annotator=f"person {seat}", answered_at="2026-11-01", batch=name,
                answer="5", answer_id=f"{name} {seat}")  # fmt: skip
    lake.store.put(vote_key(name, query, seat, 1), said.data())


def found(lake: Lake) -> list[BatchProgress]:
    return collect(lake, lambda table, rows: SuiteResult(rows.num_rows))


def announced(lake: Lake) -> list[tuple[str, int, int]]:
    return [(one.id, one.kept, one.open) for one in found(lake) if settle(lake, vars(one))]


def closed(store: MemoryStore) -> Lake:
    """A closed batch with one question that four people have answered, and one that one has."""
    lake = lake_in(store)
    batches.create(lake, Batch("monday", "run", (A, B)))
    for seat in (1, 2, 3, 4):
        vote(lake, "monday", A, seat)
    vote(lake, "monday", B, 1)
    batches.close(lake, "monday", by="lead")
    return lake


def test_votes_stay_and_the_outcome_is_announced_when_it_has_changed() -> None:
    store = MemoryStore()
    lake = closed(store)
    assert announced(lake) == [("monday", 1, 1)]
    votes = {key: data for key, data in store.objects.items() if key.startswith("votes/")}
    with batches.locked(lake) as lease:
        pack(lake, "monday", lease.check)
    reopen_closed(lake, "monday")
    assert batches.batch_states(lake) == {"monday": frozenset()}
    assert {key: data for key, data in store.objects.items() if key.startswith("votes/")} == votes
    assert announced(lake) == [], "it is open, and nothing has changed"
    for seat in (2, 3, 4):
        vote(lake, "monday", B, seat)
    assert announced(lake) == [("monday", 2, 0)]


def test_a_batch_is_not_opened_without_the_lock() -> None:
    lake = closed(MemoryStore())
    assert announced(lake) == [("monday", 1, 1)]
    with stopped_by_a_lost_lock():
        reopen_closed(lake, "monday")
    assert batches.batch_states(lake) == {"monday": {"closed", "decided"}}


def test_a_batch_that_is_opened_while_it_is_settled_stays_open() -> None:
    lake = closed(MemoryStore())
    (progress,) = found(lake)
    reopen_closed(lake, "monday")
    assert not settle(lake, vars(progress))
    assert batches.batch_states(lake) == {"monday": frozenset()}


@pytest.mark.parametrize("settled_at", ["closed.json", "decided.json"])
def test_a_batch_that_is_opened_between_the_two_looks_of_a_settle_stays_open(
    monkeypatch: pytest.MonkeyPatch, settled_at: str
) -> None:
    """The record of the settle is written before, or after, the one of the lead is deleted."""
    lake = closed(MemoryStore())
    (progress,) = found(lake)
    delete = lake.store.delete
    settled: list[bool] = []

    def meanwhile(keys: list[str]) -> None:
        if not settled and any(key.endswith(settled_at) for key in keys):
            settled.append(True)
            settle(lake, vars(progress))
        delete(keys)

    monkeypatch.setattr(lake.store, "delete", meanwhile)
    monkeypatch.setattr("hopchain_etl.annotation.collect.reopen", lambda lake, name: batches.clear_decided(lake, name))
    reopen_closed(lake, "monday")
    assert settled
    assert batches.batch_states(lake) == {"monday": frozenset()}


def test_opening_again_killed_anywhere_is_finished_by_doing_it_again() -> None:
    for writes in count():
        store = MemoryStore()
        lake = closed(store)
        assert announced(lake) == [("monday", 1, 1)]
        with batches.locked(lake) as lease:
            pack(lake, "monday", lease.check)
        store.writes_left = writes
        try:
            reopen_closed(lake, "monday")
            killed = False
        except KilledError:
            killed = True
        store.writes_left = None
        store.delete([key for key in store.objects if key.startswith("locks/")])
        reopen_closed(lake, "monday")
        assert batches.batch_states(lake) == {"monday": frozenset()}
        assert len([key for key in store.objects if key.startswith("votes/")]) == 5
        if not killed:
            break
    assert writes > 8, "the five votes, their archive and the two records"


def test_a_batch_that_another_continues_stays_closed() -> None:
    lake = closed(MemoryStore())
    batches.create(lake, Batch("tuesday", "run", (B,), continues="monday"))
    batches.create(lake, Batch("wednesday", "run", (A,), fresh_of="monday"))
    lake.store.put("batches/broken.json", b"{")
    assert continued_by(lake, "monday") == ["tuesday"]
    with pytest.raises(ContinuedElsewhereError, match="tuesday"):
        reopen_closed(lake, "monday")
    assert batches.batch_states(lake)["monday"] == {"closed"}


def test_a_batch_that_cannot_be_read_any_more_continues_none() -> None:
    lake = closed(MemoryStore())
    batches.create(lake, Batch("tuesday", "run", (B,), continues="monday"))
    assert continued_by(lake, "monday") == ["tuesday"]
    lake.store.put("batches/tuesday.json", b"{")
    assert continued_by(lake, "monday") == []
