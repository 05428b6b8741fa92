"""Which questions of batches are about withdrawn photos, whether a batch names its shards or not."""

from __future__ import annotations

import hashlib

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.withdrawn import PhotosOfBatches, withdrawn_of_batch, withdrawn_of_batches
from hopchain_etl.lake.lake import Lake, LakeError, Shard
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in

LINEAGE = "0123456789ab"


def name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


QUERIES, PHOTOS = ([name(f"{what} {number}") for number in range(4)] for what in ("query", "photo"))


@pytest.fixture
def lake() -> Lake:
    """Two shards with two photos each, of which the first one is withdrawn."""
    found = lake_in(MemoryStore())
    for shard in range(2):
        rows = [
            {"query_id": QUERIES[number], "image_id": PHOTOS[number], "question": "How many?"}
            for number in (2 * shard, 2 * shard + 1)
        ]
        drawn_lake.write(found, "queries", LINEAGE, Shard("in", shard), rows)
    found.write_tombstone(PHOTOS[0], reason="asked", blob_sha=None)
    return found


def batch(*shards: str, lineage: str | None = LINEAGE, queries: tuple[int, ...] = (0, 1, 2)) -> Batch:
    return Batch("monday", "run", tuple(QUERIES[number] for number in queries), lineage=lineage, shards=shards)


@pytest.mark.parametrize("shards", [(), ("in/0000", "in/0001")])
def test_the_questions_of_withdrawn_photos_are_found(lake: Lake, shards: tuple[str, ...]) -> None:
    assert withdrawn_of_batch(lake, batch(*shards)) == {QUERIES[0]}
    assert withdrawn_of_batch(lake, batch(*shards, queries=(1, 2))) == frozenset(), "it does not ask that question"
    batches.create(lake, batch(*shards))
    assert withdrawn_of_batches(lake, batches.listed(lake).values()) == {QUERIES[0]: PHOTOS[0]}
    lake.write_tombstone(PHOTOS[2], reason="asked", blob_sha=None)
    lake.write_tombstone(PHOTOS[3], reason="asked", blob_sha=None)  # nobody is asked about it
    assert withdrawn_of_batch(lake, batch(*shards)) == {QUERIES[0], QUERIES[2]}
    assert withdrawn_of_batches(lake, batches.listed(lake).values()).keys() == {QUERIES[0], QUERIES[2]}


def test_of_a_batch_whose_questions_are_not_known_none_is_withdrawn(lake: Lake) -> None:
    assert withdrawn_of_batch(lake, batch("in/0000", lineage=None)) == frozenset()
    assert withdrawn_of_batch(lake, batch("in/0000", "in/0009")) == frozenset()
    with pytest.raises(LakeError, match="is not complete"):
        PhotosOfBatches(lake).of(batch("in/0000", "in/0009"))
    for one in (batch(), Batch("tuesday", "run", (QUERIES[0],), lineage=LINEAGE, shards=("in/0009",))):
        batches.create(lake, one)
    assert withdrawn_of_batches(lake, batches.listed(lake).values()) == {QUERIES[0]: PHOTOS[0]}


def test_while_no_photo_is_withdrawn_nothing_is_read() -> None:
    lake = lake_in(MemoryStore())
    batches.create(lake, batch("in/0009"))
    listed, before = batches.listed(lake).values(), lake.store.calls["get"]
    assert (withdrawn_of_batches(lake, listed), withdrawn_of_batch(lake, batch("in/0009"))) == ({}, frozenset())
    assert lake.store.calls["get"] == before
