"""Reads all rows of one table of a build, without withdrawn photos, for report and audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hopchain_etl.lake.lake import exclude_withdrawn
from hopchain_etl.pipeline.build import Build


def read_rows(build: Build, table: str, fingerprint: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts, shard by shard, without those of withdrawn photos."""
    withdrawn = build.lake.withdrawn()
    for shard in build.lake.completed_shards(table, fingerprint):
        yield from build.lake.read(table, fingerprint, shard, withdrawn=withdrawn).to_pylist()


def read_rejects(build: Build, stage: str) -> Iterator[dict[str, Any]]:
    """Yield what a stage of the build refused (schemas.REJECTS) in the same way; nothing without such a stage."""
    if step := build.steps.get(stage):
        withdrawn = build.lake.withdrawn()
        for shard in build.lake.completed_shards(step.stage.table, step.fingerprint):
            rejects = build.lake.rejects(step.stage.table, step.fingerprint, shard)
            yield from exclude_withdrawn(rejects, withdrawn).to_pylist()
