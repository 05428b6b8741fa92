"""Reads the tables of a build shard by shard, without withdrawn photos, for report and audit.

All rows of a photo are in the same shard of every table, so whoever needs several tables together needs only one shard
of each at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.lake.lake import LakeError, Shard, exclude_withdrawn
from hopchain_etl.pipeline.build import Build
from hopchain_etl.stages.who_saw import name_eyes, one_of_each, seen_by

Row = dict[str, Any]


class BuildRows:
    """The rows of a build's tables, one shard at a time."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._lake = build.lake
        self._withdrawn = build.lake.withdrawn()
        self._markers = cache(build.lake.markers)

    def shards(self, table: str, fingerprint: str | None = None) -> list[Shard]:
        """Return the complete shards of a table, in order."""
        return list(self._markers(table, fingerprint))

    def fingerprints(self, table: str) -> list[str]:
        """Return the fingerprints of a table, in order."""
        return self._lake.fingerprints(table)

    def read(self, table: str, fingerprint: str | None, shard: Shard, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a shard's rows; raise LakeError if it is not complete."""
        marker = self._markers(table, fingerprint).get(shard)
        folder = self._lake.folder(table, fingerprint, shard)
        if marker is None:
            raise LakeError(f"{self._lake.store.uri(folder)} is not complete; run its stage first")
        rows = self._lake.parts(folder, marker.parts, schemas.TABLES[table], columns)
        return exclude_withdrawn(rows, self._withdrawn)

    def of(self, stage: str, shard: Shard) -> list[Row]:
        """Return the rows of a shard that a stage of the build made; none without such a stage or shard."""
        step = self._build.steps.get(stage)
        if step is None or shard not in self._markers(step.stage.table, step.fingerprint):
            return []
        rows: list[Row] = self.read(step.stage.table, step.fingerprint, shard).to_pylist()
        return rows

    def eyes(self, instance: Row) -> str:
        """Return in words which models saw the photo of an instance (row of instances)."""
        return name_eyes(seen_by(stage, instance) for stage in self._seeing)

    @cached_property
    def _seeing(self) -> list[Row]:
        return [self._build.steps[stage].lineage.facts for stage in ("detect", "segment")]

    def eyes_by_image(self, shard: Shard, images: Sequence[str]) -> dict[str, str]:
        """Return ``eyes`` of photos of a shard by image_id."""
        columns = ["image_id", "detector", "segmenter"]
        instances = self.read("instances", self._build.steps["segment"].fingerprint, shard, columns)
        return dict(zip(images, map(self.eyes, one_of_each(instances, pa.array(images, pa.string()))), strict=True))

    def queries(self) -> Iterator[tuple[Shard, list[Row]]]:
        """Yield each shard of the queries table with its rows."""
        for shard in self.shards("queries", self._build.lineage):
            yield shard, self.read("queries", self._build.lineage, shard).to_pylist()

    def rejects(self, stage: str, shard: Shard) -> list[Row]:
        """Return what a stage of the build refused in a shard (schemas.REJECTS); nothing without such a stage."""
        step = self._build.steps.get(stage)
        if step is None or shard not in self._markers(step.stage.table, step.fingerprint):
            return []
        rejects = self._lake.rejects(step.stage.table, step.fingerprint, shard)
        rows: list[Row] = exclude_withdrawn(rejects, self._withdrawn).to_pylist()
        return rows
