"""The funnel: row counts of every stage, computed from the lake's markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.spelling import is_in_any
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.shards import OUTCOMES
from hopchain_etl.pipeline.build import Build
from hopchain_etl.schemas import QUARANTINED
from hopchain_etl.stages.labels import FINGERPRINT


@dataclass(frozen=True)
class Level:
    """One stage's totals. ``read = ok + rejected + failed + quarantined`` count input rows; ``rows`` output rows."""

    stage: str
    table: str
    fingerprint: str | None
    shards: int
    read: int = 0
    ok: int = 0
    rejected: int = 0
    failed: int = 0
    quarantined: int = 0
    rows: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def funnel(build: Build) -> list[Level]:
    """Return the totals of ingest, of the labels if any are used, and of each stage as it is now, in order."""
    lake = build.lake
    levels = [level(lake, "ingest", "images", None, lake.completed_shards("images"))]
    if build.uses_labels:
        levels.append(level(lake, "labels", "labels", FINGERPRINT, lake.completed_shards("labels", FINGERPRINT)))
    for name, step in build.steps.items():
        shards = lake.completed_shards(step.stage.table, step.fingerprint)
        levels.append(level(lake, name, step.stage.table, step.fingerprint, shards))
    return levels


def as_json(levels: list[Level]) -> list[dict[str, Any]]:
    """Return the funnel as plain JSON."""
    return [asdict(level) for level in levels]


def rejects_of(
    build: Build,
    *,
    stage: str | None = None,
    reason: str | None = None,
    photo: str | None = None,
    quarantined: bool = False,
) -> list[dict[str, Any]]:
    """Return the rows of the rejects tables that were rejected, failed or are quarantined, in the order of stages.

    Only those of a stage, with a reason, or of photos with the text ``photo`` in their URI or image_id, if given.
    """
    ids = set() if photo is None else _image_ids(build.lake, photo)
    return [
        row
        for level in funnel(build)
        if stage in (None, level.stage)
        for shard in build.lake.completed_shards(level.table, level.fingerprint)
        for row in build.lake.rejects(level.table, level.fingerprint, shard).to_pylist()
        if reason in (None, row["reason"]) and (photo is None or _is_of(photo, row, ids))
        if not quarantined or row["outcome"] == QUARANTINED
    ]


def _image_ids(lake: Lake, photo: str) -> set[str]:
    """Return the images with a text in their URI; rejects of some stages have the image_id only."""
    return {
        row["image_id"]
        for _, images in lake.images()
        for row in images.select(["image_id", "uri"]).to_pylist()
        if is_in_any(photo, [row["uri"]])
    }


def _is_of(photo: str, row: dict[str, Any], ids: set[str]) -> bool:
    return row["image_id"] in ids or is_in_any(photo, [row["uri"], row["image_id"]])


def level(lake: Lake, stage: str, table: str, fingerprint: str | None, shards: Iterable[Shard]) -> Level:
    """Return the totals of the complete shards among ``shards``."""

    def marker(shard: Shard) -> Marker | None:
        return lake.marker(table, fingerprint, shard)

    markers = [found for found in map_threads(marker, shards) if found]
    reasons: Counter[str] = Counter()
    for found in markers:
        reasons.update(found.reasons)
    totals = {name: sum(getattr(found, name) for found in markers) for name in ("read", *OUTCOMES)}
    rows = sum(part.rows for found in markers for part in found.parts)
    return Level(stage, table, fingerprint, len(markers), **totals, rows=rows, reasons=dict(reasons.most_common()))
