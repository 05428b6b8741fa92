"""What became of settled batches, from a view: the answers of a settled batch are read once, not by every page."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.collect import decide, lineage, votes_by_query, votes_in
from hopchain_etl.annotation.votes import in_full_sample
from hopchain_etl.annotation.withdrawn import PhotosOfBatches, withdrawn_of_batch
from hopchain_etl.hops.consensus import ConsensusRule, Decision
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.view import View, each

log = logging.getLogger(__name__)

_SCHEMA = pa.schema([("document", pa.string())])


@dataclass(frozen=True)
class SettledBatch:
    """A batch with a record of its outcome; counts are of queries, ``annotators`` counts valid answers by name."""

    id: str
    created_by_run: str
    lineage: str | None
    policy: Mapping[str, Any]
    queries: int
    full_sample: int
    kept: int
    dropped: int
    open: int
    annotators: Mapping[str, int]
    voided: int  # votes that do not count because their annotator is voided
    withdrawn: int = 0  # queries whose photos were withdrawn when this was read; in no other count of queries
    withdrawn_photos: Sequence[str] = ()  # hashes of those that were withdrawn when it was settled

    @property
    def answers(self) -> int:
        """The number of valid answers."""
        return sum(self.annotators.values())


def settled_batches(lake: Lake) -> dict[str, SettledBatch]:
    """Return every settled batch by name, in order; one that cannot be read is left out and logged.

    Costs one listing and two reads, and a few reads for each batch that has been settled since the last call.
    """
    photos = PhotosOfBatches(lake, withdrawn_only=True)

    def read(key: str) -> pa.Table | None:
        found = _summary(lake, key, photos)
        return pa.table({"document": [json.dumps(asdict(found))]}, schema=_SCHEMA) if found else None

    rows = View(lake.store, "settled-batches", _SCHEMA).rows(batches.decided_etags(lake), each(read))
    found = [SettledBatch(**json.loads(document)) for document in rows["document"].to_pylist()]
    return {one.id: one for one in sorted(found, key=lambda one: one.id)}


def _summary(lake: Lake, key: str, photos: PhotosOfBatches) -> SettledBatch | None:
    try:
        return _read(lake, key, photos)
    except batches.UNREADABLE:
        log.exception("the settled batch of %s cannot be read", lake.store.uri(key))
        return None


def _read(lake: Lake, key: str, photos: PhotosOfBatches) -> SettledBatch:
    name = batches.name_of_record(key)
    batch, record = batches.load(lake, name), lake.get_json(key) or {}
    marker = lake.marker("answers", lineage(batch).fingerprint, Shard(name, 0))
    given = votes_by_query(batch, votes_in(lake, batch, marker))
    rule, share = ConsensusRule.from_policy(batch.policy), float(batch.policy.get("full_share", 0))
    gone = withdrawn_of_batch(lake, batch, photos)
    tally = Counter(decide(cast, rule).decision for query, cast in given.items() if query not in gone)
    return SettledBatch(
        name,
        batch.created_by_run,
        batch.lineage,
        batch.policy,
        len(batch.query_ids),
        sum(in_full_sample(query, share) for query in batch.query_ids),
        tally[Decision.KEPT],
        tally[Decision.DROPPED],
        tally[Decision.OPEN],
        dict(Counter(vote.annotator for cast in given.values() for vote in cast)),
        marker.reasons.get("voided", 0) if marker else 0,
        len(given) - tally.total(),
        record.get("withdrawn_photos", ()),
    )
