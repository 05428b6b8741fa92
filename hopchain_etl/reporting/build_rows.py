"""Reads all rows of one table of a build, without withdrawn photos, for report and audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hopchain_etl.pipeline.build import Build


def read_rows(build: Build, table: str, fingerprint: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts, shard by shard, without those of withdrawn photos."""
    withdrawn = set(build.lake.tombstones())
    for shard in build.lake.completed_shards(table, fingerprint):
        yield from build.lake.read(table, fingerprint, shard, withdrawn=withdrawn).to_pylist()
