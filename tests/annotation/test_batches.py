"""Annotation batches on a real S3 server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hopchain_etl.annotation import batches, unasked
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.settings import DeskSettings, LakeSettings
from support.lost_locks import stopped_by_a_lost_lock
from support.memory_store import MemoryStore, lake_in
from support.s3 import S3Location

BATCH = Batch("2026-11-22T020000", "scheduled__1", ("a" * 64, "b" * 64), lineage="0123456789ab", shards=("x/0000",))


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


@pytest.mark.s3
def test_a_batch_is_written_once_and_read_back(lake: Lake) -> None:
    assert batches.create(lake, BATCH) == BATCH
    assert batches.load(lake, BATCH.id) == BATCH
    again = replace(BATCH, query_ids=("c" * 64,))
    assert batches.create(lake, again) == BATCH  # the same run, tried again: what is asked stays
    with pytest.raises(LakeError, match="scheduled__1"):
        batches.create(lake, replace(again, created_by_run="another"))
    assert unasked.not_asked(lake, [*BATCH.query_ids, "c" * 64], ()) == ["c" * 64]


def test_rounds_before_are_those_of_people_who_are_not_asked_again() -> None:
    lake = lake_in(MemoryStore())
    made = {}
    for name, more in {
        "first": {}, "fresh": {"fresh_of": "first"}, "on": {"continues": "fresh"}, "again": {"fresh_of": "on"}
    }.items():  # fmt: skip
        made[name] = batches.create(lake, replace(BATCH, id=name, created_by_run=name, **more))
    assert [batches.earlier_rounds(lake, one) for one in made.values()] == [
        (), ("first",), ("first",), ("on", "fresh", "first")
    ]  # fmt: skip
    assert [batches.asked_before(lake, one) for one in made.values()] == [
        (), ("first",), ("fresh", "first"), ("on", "fresh", "first")
    ]  # fmt: skip
    assert made["first"].seats == BATCH.policy["seats"] == 4


@pytest.mark.s3
def test_no_batch_is_stored_after_its_lock_was_lost(lake: Lake) -> None:
    with stopped_by_a_lost_lock(), batches.exclusively(lake) as create:
        create(BATCH)
    assert batches.batch_states(lake) == {}
    with batches.exclusively(lake) as create:
        assert create(BATCH) == BATCH


@pytest.mark.s3
def test_states_tell_what_became_of_each_batch(lake: Lake) -> None:
    assert batches.batch_states(lake) == {}
    for name in ("b", "a.1", "c"):
        batches.create(lake, replace(BATCH, id=name))
    batches.close(lake, "c", by="lead")
    batches.mark_decided(lake, "c", {"kept": 1})
    batches.mark_decided(lake, "a.1", {"kept": 2})
    batches.mark_decided(lake, "a.1", {"kept": 3})  # the first record stays
    assert list(batches.batch_states(lake).items()) == [
        ("a.1", {"decided"}),
        ("b", set()),
        ("c", {"closed", "decided"}),
    ]
    assert lake.get_json("batches/a.1.decided.json") == {"kept": 2}


@pytest.mark.s3
def test_what_is_no_batch_is_said_so(lake: Lake) -> None:
    with pytest.raises(LakeError, match="monday"):
        batches.load(lake, "monday")
    with pytest.raises(LakeError, match="monday"):
        batches.close(lake, "monday", by="lead")
    for name in ("../x", "a/b", "", "monday.closed", "monday.decided"):
        with pytest.raises(ValueError):
            replace(BATCH, id=name)


@pytest.mark.s3
@pytest.mark.parametrize("held", [b"{", b"[]", b'{"id": "x"}', b'{"annotators": 3}'])
def test_who_a_batch_is_assigned_to_is_known_or_said_to_be_unreadable(lake: Lake, held: bytes) -> None:
    batches.create(lake, BATCH)
    assert batches.assigned(lake, BATCH.id) is None
    for people in (["ben", "ann", "ben"], None):
        batches.assign(lake, BATCH.id, people)
        assert batches.assigned(lake, BATCH.id) == (people and {"ann", "ben"})
    lake.store.put(f"batches/{BATCH.id}.assigned.json", held)
    with pytest.raises(LakeError, match=r"assigned\.json cannot be read .*assign the batch again"):
        batches.assigned(lake, BATCH.id)


def test_a_run_has_a_batch_name_of_its_own_however_often_it_is_tried_again() -> None:
    lake = lake_in(MemoryStore())
    for run, expected in {"one": "day", "two": "day-2", "three": "day-3"}.items():
        for _ in range(2):
            name = batches.name_for(lake, "day", run)
            assert name == expected
            batches.create(lake, replace(BATCH, id=name, created_by_run=run))


def test_a_listing_tells_state_and_details_of_each_batch_and_passes_over_the_rest() -> None:
    store = MemoryStore()
    lake, day = lake_in(store), datetime(2026, 11, 22, tzinfo=UTC)
    for name in ("b", "a"):
        batches.create(lake, replace(BATCH, id=name))
    for number in (9, 10, 2):
        store.put(batches.details_key("a", number), b"{}")
    batches.assign(lake, "a", ["ann"])
    for foreign in ("batches/gone.closed.json", "batches/notes.txt", "batches/a/b.json", "batches/gone.details.3.json"):
        store.put(foreign, b"{}")
    assert batches.close(lake, "b", by="lead")
    assert not batches.close(lake, "b", by="another"), "it is closed already"
    batches.mark_decided(lake, "b", {"kept": 1})
    batches.mark_changed(lake, "b")
    store.written |= {"batches/b.json": day, "batches/b.decided.json": day.replace(hour=7)}
    found = batches.listed(lake)
    assert list(found) == ["a", "b"]
    assert (found["a"].states, found["a"].details, found["a"].settled_at) == ({"assigned"}, 10, None)
    assert (found["b"].states, found["b"].details) == ({"closed", "decided", "changed"}, 0)
    assert (found["b"].modified, found["b"].settled_at) == (day, day.replace(hour=7))
    assert list(batches.decided_etags(lake)) == ["batches/b.decided.json"]
    assert [batches.name_of_record(f"batches/b{kind}.json") for kind in ("", ".decided", ".details.3")] == ["b"] * 3
    with pytest.raises(ValueError, match="is not a key of a batch"):
        batches.name_of_record("batches/notes.txt")
    assert [batches.clear_changed(lake, "b") for _ in range(2)] == [True, False]
    assert batches.is_closed(lake, "b")
    batches.clear_closed(lake, "b")
    batches.clear_decided(lake, "b")
    assert not batches.is_closed(lake, "b")
    assert batches.batch_states(lake)["b"] == frozenset()


def test_a_batch_of_an_earlier_version_is_read_and_one_that_is_damaged_is_named() -> None:
    lake = lake_in(MemoryStore())
    held = {"id": "old", "created_by_run": "r", "query_ids": ["a" * 64], "policy": {"name": "unanimous", "seats": 4}}
    lake.put_json("batches/old.json", {**held, "status": "open"})
    assert batches.load(lake, "old") == Batch("old", "r", ("a" * 64,))
    for junk in ({**held}, {**held, "status": "open", "policy": {}}, {**held, "status": "open", "query_ids": 3}, []):
        lake.put_json("batches/old.json", junk)
        with pytest.raises(LakeError, match=r"old\.json is not a batch .*; restore or delete it"):
            batches.load(lake, "old")


@pytest.mark.parametrize(("seats", "agree", "name"), [(4, 4, "unanimous"), (4, 3, "3 of 4"), (5, 4, "4 of 5")])
def test_the_policy_of_new_batches_is_that_of_the_settings(seats: int, agree: int, name: str) -> None:
    policy = batches.policy_of(DeskSettings(seats=seats, agree=agree, full_share=0.25))
    assert policy == {"name": name, "seats": seats, "agree": agree, "full_share": 0.25}
    assert Batch("new", "run", (), policy).seats == seats
