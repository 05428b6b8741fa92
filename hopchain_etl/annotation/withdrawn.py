"""Which questions of batches are about withdrawn photos: they need no more answers, and no release has them."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch, ListedBatch
from hopchain_etl.annotation.unasked import hashes_of, queries_of
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Shard
from hopchain_etl.lake.view import View, each

log = logging.getLogger(__name__)

_ONE_BY_ONE = 64  # shards of a lineage that are read for themselves
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
    photos = PhotosOfBatches(lake)

    def read(key: str) -> pa.Table | None:
        try:
            return photos.of(batches.load(lake, batches.name_of_record(key)))
        except batches.UNREADABLE:
            log.exception("the photos of the batch %s cannot be read", lake.store.uri(key))
            return None

    sources = {one.key: one.etag for one in unsettled}
    rows = _withdrawn(lake, View(lake.store, "photos-of-batches", _PHOTOS).rows(sources, each(read)))
    return dict(zip(rows["query_id"].to_pylist(), rows["image_id"].to_pylist(), strict=True))


def withdrawn_of_batch(lake: Lake, batch: Batch, photos: PhotosOfBatches | None = None) -> frozenset[str]:
    """Return the queries of one batch whose photos are withdrawn; none if its queries cannot be read.

    Who asks for many batches gives the same ``photos`` each time.
    """
    if not lake.withdrawn():
        return frozenset()
    try:
        rows = (photos or PhotosOfBatches(lake, withdrawn_only=True)).of(batch)
    except batches.UNREADABLE:
        log.exception("the photos of batch %s cannot be read", batch.id)
        return frozenset()
    return frozenset(_withdrawn(lake, rows)["query_id"].to_pylist())


class PhotosOfBatches:
    """The photo of each query of batches; what many batches need of a lineage is read once and held once.

    A few shards are read for themselves. If there are more, or a batch of an earlier version does not name its shards,
    the view of all queries of the lineage takes their place. With ``withdrawn_only``, only queries of photos that are
    withdrawn are sure to be in the answer, and no others stay in memory. Thread-safe.
    """

    def __init__(self, lake: Lake, *, withdrawn_only: bool = False) -> None:
        self._lake = lake
        self._withdrawn_only = withdrawn_only
        self._one_reader = threading.Lock()
        self._shards: Counter[str] = Counter()  # that batches named, by lineage
        self._markers: dict[str, Mapping[Shard, Marker]] = {}
        self._rows: dict[str, pa.Table] = {}  # of whole lineages, with ids as bytes
        self._broken: set[str] = set()  # lineages of which a shard cannot be read

    def of(self, batch: Batch) -> pa.Table:
        """Return ``query_id`` and ``image_id`` of a batch's queries; raise LakeError if a shard is not complete."""
        if (lineage := batch.lineage) is None:
            return _PHOTOS.empty_table()
        shards = [Shard.parse(shard) for shard in batch.shards]
        with self._one_reader:
            self._shards[lineage] += len(shards)
            if not shards or (self._shards[lineage] > _ONE_BY_ONE and lineage not in self._broken):
                try:
                    return self._of_lineage(lineage, batch.query_ids)
                except batches.UNREADABLE:  # because of one shard, of which other batches know nothing
                    if not shards:
                        raise
                    self._broken.add(lineage)
            if lineage not in self._markers:
                self._markers[lineage] = self._lake.markers("queries", lineage)
        rows = map_threads(lambda shard: self._of_shard(lineage, shard), shards)
        table = pa.concat_tables([_PHOTOS.empty_table(), *rows])
        return table.filter(pc.is_in(table["query_id"], value_set=pa.array(batch.query_ids, pa.string())))

    def _of_shard(self, lineage: str, shard: Shard) -> pa.Table:
        folder, marker = self._lake.folder("queries", lineage, shard), self._markers[lineage].get(shard)
        if marker is None:
            raise LakeError(f"{self._lake.store.uri(folder)} is not complete")
        return self._lake.parts(folder, marker.parts, schemas.TABLES["queries"], _PHOTOS.names).cast(_PHOTOS)

    def _of_lineage(self, lineage: str, queries: Iterable[str]) -> pa.Table:
        if lineage not in self._rows:
            rows = queries_of(self._lake, lineage).select(_PHOTOS.names)
            if self._withdrawn_only:
                rows = rows.filter(pc.is_in(rows["image_id"], value_set=hashes_of(self._lake.withdrawn())))
            self._rows[lineage] = rows
        rows = self._rows[lineage]
        found = rows.filter(pc.is_in(rows["query_id"], value_set=hashes_of(queries), skip_nulls=True))
        return pa.table([[one and one.hex() for one in column.to_pylist()] for column in found.columns], schema=_PHOTOS)


def _withdrawn(lake: Lake, photos: pa.Table) -> pa.Table:
    images = pa.array(sorted(lake.withdrawn()), pa.string())
    return photos.filter(pc.is_in(photos["image_id"], value_set=images))
