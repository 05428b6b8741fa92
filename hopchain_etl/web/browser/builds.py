"""Builds in the dataset browser: their shards, fingerprints and totals.

A build is a run of ``hopchain_build`` (``runs/<key>.json``), named by its key, or everything under one fingerprint of
the queries table, named ``~<fingerprint>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Shard, is_fingerprint, key_part, run_key
from hopchain_etl.pipeline.funnel import Level, level

JSON = dict[str, Any]
TABLES = {
    "ingest": "images",
    "detect": "categories",
    "segment": "instances",
    "generate": "queries",
    "judge": "judgements",
    "screen": "attempts",
}


class UnknownBuildError(LookupError):
    """The build does not exist; the message names it."""


@dataclass(frozen=True)
class BuildView:
    """A build shown in the browser.

    ``fingerprints``: by stage; ``shards``: those that it built; ``taken_in``: those that its ingest wrote.
    """

    id: str
    shards: tuple[Shard, ...]
    taken_in: tuple[Shard, ...]
    fingerprints: Mapping[str, str]
    document: JSON = field(repr=False)

    def places(self, stage: str) -> list[tuple[str, str | None, Shard]]:
        """Return table, fingerprint and shard of everything a stage wrote; raise UnknownBuildError if there is none."""
        if stage == "ingest":
            return [("images", None, shard) for shard in sorted({*self.shards, *self.taken_in})]
        if stage not in self.fingerprints or stage not in TABLES:
            raise UnknownBuildError(f"build {self.id} has no stage {stage!r}")
        return [(TABLES[stage], self.fingerprints[stage], shard) for shard in self.shards]

    @property
    def stages(self) -> list[str]:
        """The stages that can be shown, in order."""
        return [stage for stage in TABLES if stage == "ingest" or stage in self.fingerprints]


def runs(lake: Lake, limit: int) -> tuple[list[JSON], int]:
    """Return the documents of the latest ``limit`` builds, newest first, each with its ``id``; and the total number."""
    entries = sorted(lake.store.list_objects("runs/"), key=lambda entry: entry.modified, reverse=True)
    latest = [entry.key for entry in entries if entry.key.endswith(".json")]
    documents = map_threads(lake.get_json, latest[:limit])
    found = [
        {**document, "id": key.removeprefix("runs/").removesuffix(".json")}
        for key, document in zip(latest, documents, strict=False)
        if document
    ]
    return sorted(found, key=lambda one: str(one.get("run_after")), reverse=True), len(latest)


def lineages(lake: Lake) -> list[JSON]:
    """Return the fingerprints of the queries table, each with the stage's facts (``lineages/<fingerprint>.json``)."""
    marks = lake.fingerprints("queries")
    return [{"id": f"~{mark}", "fingerprint": mark, **lineage_facts(lake, mark)} for mark in marks]


def viewed(lake: Lake, name: str) -> BuildView:
    """Return the build of this name (or run id); raise UnknownBuildError if there is none."""
    if name.startswith("~"):
        return _lineage(lake, name.removeprefix("~"))
    key = run_key(name)
    document = _record(lake, key)
    if document is None and (older := _record(lake, key_part(name))) and older["run_id"] == name:
        key, document = key_part(name), older  # written by 0.1, which wrote the records of some runs over others
    if document is None:
        raise UnknownBuildError(f"no build {name[:250]!r}; only finished runs of hopchain_build have one")
    return BuildView(
        key,
        tuple(map(Shard.parse, document["shards"])),
        tuple(map(Shard.parse, document["ingest"].get("shards", ()))),
        document["fingerprints"],
        document,
    )


def _record(lake: Lake, key: str) -> JSON | None:
    return lake.get_json(f"runs/{key}.json") if len(key) <= 250 else None


def totals(lake: Lake, build: BuildView) -> list[Level]:
    """Return the funnel of a build: the totals of each stage over its shards."""
    levels = []
    for stage in build.stages:
        places = build.places(stage)
        table = TABLES[stage]
        levels.append(level(lake, stage, table, build.fingerprints.get(stage), [shard for _, _, shard in places]))
    return levels


def _lineage(lake: Lake, mark: str) -> BuildView:
    """Return everything under one fingerprint of the queries table, with the fingerprints above it."""
    shards = lake.completed_shards("queries", mark) if is_fingerprint(mark) else []
    if not shards:
        raise UnknownBuildError(f"no queries under fingerprint {mark[:40]!r}")
    marks: dict[str, str] = {}
    above: str | None = mark
    while above is not None and above not in marks.values():
        facts = lineage_facts(lake, above)
        marks[str(facts.get("stage", "generate"))] = above
        above = facts.get("upstream")
    return BuildView(f"~{mark}", tuple(shards), (), marks, {})


def lineage_facts(lake: Lake, mark: str | None) -> JSON:
    """Return what the lake says of a fingerprint; nothing if it does not know it."""
    facts: JSON = lake.get_json(f"lineages/{mark}.json") or {}
    return facts
