"""Which labels were not used, in sentences for whoever has the photos and the label files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hopchain_etl.labels.spool import MOST_TOLD
from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.reporting.reasons import because
from hopchain_etl.stages.engine_calls import group_rows_by
from hopchain_etl.stages.labels import FINGERPRINT

Row = dict[str, Any]


def label_notes(build: Build, shards: Iterable[Shard]) -> dict[str | None, tuple[str, ...]]:
    """Return by image_id what could not be used of the labels; under None, what concerns no photo of the lake.

    One sentence for each reason: the first label that has it, and how many more there are. Nothing if no engine uses
    labels.
    """
    if not build.uses_labels:
        return {}
    rejects = [row for shard in shards for row in build.lake.rejects("labels", FINGERPRINT, shard).to_pylist()]
    by_photo: dict[str | None, list[Row]] = {}
    for row in rejects:
        by_photo.setdefault(row["image_id"], []).append(row)
    return {photo: tuple(map(_note, group_rows_by(rows, "reason").values())) for photo, rows in by_photo.items()}


def _note(rows: list[Row]) -> str:
    first, others = rows[0], len(rows) - 1
    least = "at least " if others >= MOST_TOLD else ""  # more of one file are only counted
    more = f" (and {least}{others:,} more)" if others else ""
    return f"Left out of the labels, because {because('labels', first['reason'])}: {first['detail']}{more}."
