"""Which questions of batches are about withdrawn photos: they need no more answers, and no release has them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch, ListedBatch
from hopchain_etl.annotation.unasked import hashes_of, queries_of
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, LakeError, Shard
from hopchain_etl.lake.view import View, each

log = logging.getLogger(__name__)

_PHOTOS = pa.schema([("query_id", pa.string()), ("image_id", pa.string())])


def hash_of_photo(image_id: str) -> str:
    """Return how the record of a settled batch names a photo: an erase leaves no id, and need not find these."""
    return hashlib.sha256(image_id.encode()).hexdigest()


def withdrawn_of_batches(lake: Lake, unsettled: Iterable[ListedBatch]) -> dict[str, str]:
    """Return the queries of the batches that are not settled whose photos are withdrawn, with the photos.

    Costs one listing while no photo is withdrawn; otherwise a few requests, and the queries of each new batch once.
    """
    if not lake.withdrawn():
        return {}

    def read(key: str) -> pa.Table | None:
        try:
            return _photos(lake, batches.load(lake, batches.name_of_record(key)))
        except batches.UNREADABLE:
            log.exception("the photos of the batch %s cannot be read", lake.store.uri(key))
            return None

    sources = {one.key: one.etag for one in unsettled}
    return _withdrawn(lake, View(lake.store, "photos-of-batches", _PHOTOS).rows(sources, each(read)))


def withdrawn_of_batch(lake: Lake, batch: Batch) -> frozenset[str]:
    """Return the queries of one batch whose photos are withdrawn; none if its queries cannot be read."""
    if not lake.withdrawn():
        return frozenset()
    try:
        return frozenset(_withdrawn(lake, _photos(lake, batch)))
    except batches.UNREADABLE:
        log.exception("the photos of batch %s cannot be read", batch.id)
        return frozenset()


def _photos(lake: Lake, batch: Batch) -> pa.Table:
    """Return the photo of each query of a batch."""
    if batch.lineage is None:
        return _PHOTOS.empty_table()
    if not batch.shards:  # of an earlier version
        rows = queries_of(lake, batch.lineage).select(_PHOTOS.names)
        wanted = rows.filter(pc.is_in(rows["query_id"], value_set=hashes_of(batch.query_ids)))
        texts = [[one.hex() for one in column.to_pylist()] for column in wanted.columns]
        return pa.table(texts, schema=_PHOTOS)
    lineage, markers = batch.lineage, lake.markers("queries", batch.lineage)

    def read(shard: Shard) -> pa.Table:
        folder = lake.folder("queries", lineage, shard)
        if shard not in markers:
            raise LakeError(f"{lake.store.uri(folder)} is not complete")
        return lake.parts(folder, markers[shard].parts, schemas.TABLES["queries"], _PHOTOS.names)

    shards = [Shard.parse(shard) for shard in batch.shards]
    rows = pa.concat_tables([_PHOTOS.empty_table(), *(rows.cast(_PHOTOS) for rows in map_threads(read, shards))])
    return rows.filter(pc.is_in(rows["query_id"], value_set=pa.array(batch.query_ids, pa.string())))


def _withdrawn(lake: Lake, photos: pa.Table) -> dict[str, str]:
    images = pa.array(sorted(lake.withdrawn()), pa.string())
    found = photos.filter(pc.is_in(photos["image_id"], value_set=images))
    return dict(zip(found["query_id"].to_pylist(), found["image_id"].to_pylist(), strict=True))
