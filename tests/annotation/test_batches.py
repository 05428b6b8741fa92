"""Annotation batches on a real S3 server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hopchain_etl.annotation import batches, unasked
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.settings import LakeSettings
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
