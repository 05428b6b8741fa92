"""The shards that a task has just written: for metrics and lineage events, wherever the stage ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Marker, Shard


@dataclass(frozen=True)
class WrittenShard:
    """A complete shard with its marker and its ``stats.json`` (seconds, tokens, ...; see ``stages.runner``)."""

    shard: Shard
    marker: Marker
    stats: dict[str, Any]


def written_since(
    lake: Lake, table: str, fingerprint: str | None, shards: Iterable[Shard], since: float
) -> list[WrittenShard]:
    """Return those of the shards that were begun after ``since`` (seconds since 1970) and are complete."""

    def read(shard: Shard) -> WrittenShard | None:
        stats = lake.get_json(lake.folder(table, fingerprint, shard) + "stats.json")
        if not stats or stats["started"] < since:
            return None
        marker = lake.marker(table, fingerprint, shard)
        return WrittenShard(shard, marker, stats) if marker else None

    return [one for one in map_threads(read, shards) if one]
