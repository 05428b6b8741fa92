"""Which queries people are not asked, because judge or screen rejected them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.judge import VERDICTS

if TYPE_CHECKING:
    from hopchain_etl.pipeline.build import Build

REASONS = frozenset({"too_easy", "guessable", *(f"judged_{verdict}" for verdict in VERDICTS)})
# stage -> table, of the stages that can exclude queries, if the profile has engines for them
FILTER_STAGES = {"judge": "judgements", "screen": "attempts"}

ExcludedQueries = dict[Shard, dict[str, str]]


def excluded_queries(build: Build) -> ExcludedQueries:
    """Return the shards that every stage has completed, each with the excluded queries and reasons."""
    guards = [(step.stage.table, step.fingerprint) for name in FILTER_STAGES if (step := build.steps.get(name))]
    guarded = (build.lake.completed_shards(*guard) for guard in guards)
    ready = sorted(set(build.lake.completed_shards("queries", build.lineage)).intersection(*guarded))
    return dict(zip(ready, map_threads(lambda shard: _excluded(build.lake, guards, shard), ready), strict=True))


def excluded_queries_of_lineage(lake: Lake, lineage: str) -> ExcludedQueries:
    """Return the same for any (also older) queries fingerprint: all queries that judge or screen rejected."""
    guards = [
        (table, fingerprint)
        for stage, table in FILTER_STAGES.items()
        for fingerprint in lake.fingerprints(table)
        if (facts := lake.get_json(f"lineages/{fingerprint}.json"))
        and (facts["stage"], facts["upstream"]) == (stage, lineage)
    ]
    shards = lake.completed_shards("queries", lineage)
    return dict(zip(shards, map_threads(lambda shard: _excluded(lake, guards, shard), shards), strict=True))


def _excluded(lake: Lake, guards: Iterable[tuple[str, str]], shard: Shard) -> dict[str, str]:
    """Return the queries of a shard that judge or screen rejected, each with the first reason."""
    found: dict[str, str] = {}
    for table, fingerprint in guards:
        for row in lake.rejects(table, fingerprint, shard).select(["reason", "input_id"]).to_pylist():
            if row["reason"] in REASONS:
                found.setdefault(row["input_id"], row["reason"])
    return found
