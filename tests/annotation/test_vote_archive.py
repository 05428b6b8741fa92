"""Packing the votes of settled batches: nothing is lost, whatever is killed, opened again, continued or erased."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.voiding import unvoid, void
from hopchain_etl.annotation.vote_archive import archive_key, erase_from_archive, pack, reopen, unpack
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.lake.lake import Lake, LakeError, Shard
from hopchain_etl.quality.validator import SuiteResult
from support.desk_clients import Office, office
from support.lost_locks import stopped_by_a_lost_lock
from support.memory_store import KilledError, MemoryStore, lake_in
from support.s3 import S3Location

A, B = "a" * 64, "b" * 64


def everything(store: MemoryStore) -> dict[str, bytes]:
    return {key: data for key, data in store.objects.items() if not key.startswith("locks/")}


def voted() -> MemoryStore:
    """A settled batch that continues another; one of its votes cannot be read, and a lease is left."""
    store = MemoryStore()
    lake = lake_in(store)
    batches.create(lake, Batch("monday", "run", (A, B)))
    batches.create(lake, Batch("tuesday", "run", (B,), continues="monday"))
    for name, query in (("monday", A), ("monday", B), ("tuesday", B)):
        for seat in (1, 2):
            store.put(vote_key(name, query, seat, 1), f"{name} {seat}".encode())
    store.put(f"votes/monday/{A}/skip-{'0' * 16}.json", b"\xff\x00")
    store.put(f"votes/monday/{A}/lease-1.1.json", b"{}")
    for name in ("monday", "tuesday"):
        batches.mark_decided(lake, name, {})
    return store


def test_packed_votes_are_one_object_and_come_back_byte_by_byte() -> None:
    store = voted()
    before, lake = everything(store), lake_in(store)
    assert pack(lake, "monday", lambda: None) == 6
    assert pack(lake, "tuesday", lambda: None) == 2
    assert pack(lake, "tuesday", lambda: None) == 0
    assert sorted(key for key in store.objects if key.startswith("votes/")) == list(
        map(archive_key, ("monday", "tuesday"))
    )
    unpack(lake, "tuesday")  # the votes that it continues too
    assert everything(store) == before


def test_an_archive_that_differs_from_the_stored_votes_stays_beside_them(caplog: pytest.LogCaptureFixture) -> None:
    store = voted()
    lake = lake_in(store)
    pack(lake, "monday", lambda: None)
    packed, other = store.objects[archive_key("monday")], vote_key("monday", A, 1, 1)
    store.put(other, b"written since")
    unpack(lake, "monday")
    assert store.objects[other] == b"written since"
    assert store.objects[vote_key("monday", A, 2, 1)] == b"monday 2"
    assert store.objects[archive_key("monday")] == packed
    assert f"1 votes in {archive_key('monday')} differ from the stored ones, such as {other}" in caplog.text


def test_a_batch_stays_settled_if_the_lock_is_lost_while_its_votes_are_unpacked() -> None:
    lake = lake_in(voted())
    pack(lake, "monday", lambda: None)
    with stopped_by_a_lost_lock():
        reopen(lake, "monday")
    assert batches.batch_states(lake)["monday"] == {"decided"}


def test_packing_and_opening_again_killed_anywhere_lose_nothing() -> None:
    votes = {key: data for key, data in voted().objects.items() if key.startswith("votes/")}
    for writes in count():
        store = voted()
        lake, killed = lake_in(store), False
        store.writes_left = writes
        try:
            for name in ("monday", "tuesday"):
                pack(lake, name, lambda: None)
            unpack(lake, "tuesday")
        except KilledError:
            killed = True
        store.writes_left = None
        for name in ("monday", "tuesday"):
            pack(lake, name, lambda: None)
        unpack(lake, "tuesday")
        assert {key: data for key, data in store.objects.items() if key.startswith("votes/")} == votes
        if not killed:
            break
    assert writes > 15


def test_what_is_erased_is_in_no_version_of_the_archive() -> None:
    store = voted()
    lake = lake_in(store)
    pack(lake, "monday", lambda: None)
    written = store.calls["put"]
    assert erase_from_archive(lake, "monday", {"c" * 64}) == 0
    assert store.calls["put"] == written, "an archive is not written again for nothing"
    assert erase_from_archive(lake, "monday", {B}) == 2
    unpack(lake, "monday")
    assert {key.split("/")[2] for key in store.objects if key.startswith("votes/monday/")} == {A}
    pack(lake, "monday", lambda: None)
    assert erase_from_archive(lake, "monday", {A}) == 4
    assert not any(data for key, kept in store.history.items() if key == archive_key("monday") for data in kept)


def test_a_damaged_archive_opens_no_batch_without_its_votes() -> None:
    store = voted()
    lake = lake_in(store)
    pack(lake, "monday", lambda: None)
    store.put(archive_key("monday"), b"PAR1")
    with pytest.raises(LakeError, match="restore it from a backup"):
        reopen(lake, "monday")
    assert "decided" in batches.batch_states(lake)["monday"]


def test_a_batch_that_is_opened_while_its_votes_are_packed_has_them_all() -> None:
    store = voted()
    lake, before = lake_in(store), everything(store)
    with ThreadPoolExecutor(1) as thread:
        with batches.locked(lake) as lease:
            opening = thread.submit(reopen, lake_in(store), "monday")
            pack(lake, "monday", lease.check)
            assert not opening.done()
            assert "decided" in batches.batch_states(lake)["monday"]
        opening.result()
    assert everything(store) == {key: data for key, data in before.items() if key != "batches/monday.decided.json"}


def announced(desk: Office) -> list[tuple[str, int, int]]:
    found = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    return [(one.id, one.kept, one.open) for one in found if settle(desk.lake, vars(one))]


def packed(desk: Office, name: str = "monday") -> None:
    with batches.locked(desk.lake) as lease:
        assert pack(desk.lake, name, lease.check)
    assert desk.stored(desk.batch.query_ids[0], name) == []


def settled_and_packed(bucket: S3Location) -> Office:
    """A closed batch that four people answered alike."""
    desk = office(bucket)
    for name in ("ann", "ben", "cleo", "dan"):
        for query in desk.batch.query_ids:
            getattr(desk, name).answer(query, "5")
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert announced(desk) == [("monday", 2, 0)]
    packed(desk)
    return desk


@pytest.mark.s3
def test_voided_answers_that_were_packed_count_again(bucket: S3Location) -> None:
    desk = settled_and_packed(bucket)
    before = _answers(desk.lake)
    assert desk.lead.get("/api/lead/batches")["batches"][0]["kept"] == 2
    assert void(desk.lake, "ben", by="lead", reason="guesses") == ["monday"]
    assert announced(desk) == [("monday", 0, 2)]
    packed(desk)
    assert unvoid(desk.lake, "ben", by="lead") == ["monday"]
    assert announced(desk) == [("monday", 2, 0)]
    assert _answers(desk.lake) == before


@pytest.mark.s3
def test_a_lost_table_of_a_packed_batch_is_written_again(bucket: S3Location) -> None:
    desk = settled_and_packed(bucket)
    before = _answers(desk.lake)
    desk.lake.store.delete([entry.key for entry in desk.lake.store.list_objects("answers/")])
    collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows), settled=True)
    assert _answers(desk.lake) == before


@pytest.mark.s3
def test_a_lead_continues_a_batch_whose_votes_are_packed(bucket: S3Location) -> None:
    desk = office(bucket)
    first, _ = desk.batch.query_ids
    for name in ("ann", "ben", "cleo"):
        getattr(desk, name).answer(first, "5")
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert announced(desk) == [("monday", 0, 2)]
    packed(desk)
    desk.lead.post("/api/lead/batches", {"id": "tuesday", "source": "open_of", "batch": "monday"})
    worker = desk.worker()
    worker.ann.answer(first, "5", expect=409)
    worker.dan.answer(first, "5")
    assert announced(desk) == []
    assert Counter(row["query_id"] for row in _answers(desk.lake)) == {first: 3 + 4}


def _answers(lake: Lake) -> list[dict[str, object]]:
    """Return the rows of all complete shards, from the markers themselves."""
    markers = [entry.key for entry in lake.store.list_objects("answers/") if entry.key.endswith("/_SUCCESS")]
    places = (key.removesuffix("/_SUCCESS").split("/") for key in markers)
    shards = ((name, Shard(intake.removeprefix("intake="), 0)) for _, name, intake, _ in places)
    return [row for name, shard in shards for row in lake.read("answers", name, shard).to_pylist()]
