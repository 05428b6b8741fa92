"""Queries that people are not asked, and why: what judge and screen refused, read back from their rejects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.judge import VERDICTS

if TYPE_CHECKING:
    from hopchain_etl.pipeline.build import Build

REASONS = frozenset({"too_easy", "guessable", *(f"judged_{verdict}" for verdict in VERDICTS)})
FILTER_STAGES = {
    "judge": "judgements",
    "screen": "attempts",
}  # stages that hold queries back, where engines can play them

ExcludedQueries = dict[Shard, dict[str, str]]


def excluded_queries(build: Build) -> ExcludedQueries:
    """Return the shards that every stage has completed, each with the queries nobody is to be asked, and why."""
    guards = [(step.stage.table, step.fingerprint) for name in FILTER_STAGES if (step := build.steps.get(name))]
    guarded = (build.lake.completed_shards(*guard) for guard in guards)
    ready = sorted(set(build.lake.completed_shards("queries", build.lineage)).intersection(*guarded))
    return dict(zip(ready, map_threads(lambda shard: _refused(build.lake, guards, shard), ready), strict=True))


def excluded_queries_of_lineage(lake: Lake, lineage: str) -> ExcludedQueries:
    """Return the same for a queries fingerprint of any day: whatever judge or screen has refused of its queries."""
    guards = [
        (table, fingerprint)
        for stage, table in FILTER_STAGES.items()
        for fingerprint in lake.fingerprints(table)
        if (facts := lake.get_json(f"lineages/{fingerprint}.json"))
        and (facts["stage"], facts["upstream"]) == (stage, lineage)
    ]
    shards = lake.completed_shards("queries", lineage)
    return dict(zip(shards, map_threads(lambda shard: _refused(lake, guards, shard), shards), strict=True))


def _refused(lake: Lake, guards: Iterable[tuple[str, str]], shard: Shard) -> dict[str, str]:
    """Return the queries of a shard that a guard refused, each with the first reason."""
    found: dict[str, str] = {}
    for table, fingerprint in guards:
        for row in lake.rejects(table, fingerprint, shard).select(["reason", "input_id"]).to_pylist():
            if row["reason"] in REASONS:
                found.setdefault(row["input_id"], row["reason"])
    return found
