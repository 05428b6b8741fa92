"""The snapshot of a release: every input part with its sha256, and the engines used.

``snapshot.json`` is the only information about the lake that a release's DVC stages depend on. It has no timestamps:
the same lake gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hopchain_etl.annotation import pseudonyms, votes
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.release.assemble import REVISION as ASSEMBLE
from hopchain_etl.release.decontaminate import Found, contamination, decontaminate
from hopchain_etl.release.human_answers import answer_facts
from hopchain_etl.release.inputs import FORMAT, Entry, Snapshot, chain, upstream_of
from hopchain_etl.settings import Settings

_TABLES_OF_QUERIES = ("attempts", "judgements")
_NAMED = ("stage", "fingerprint", "model", "model_revision", "revision")  # fields that describe an engine


def take_snapshot(lake: Lake, settings: Settings) -> Snapshot:
    """Return the snapshot for a release made now.

    Writes only the key of pseudonyms and, if the settings name a benchmark, the results of ``decontaminate``.
    Raises LakeError if a lineage is unknown or input tables of one of its shards are not complete.
    """
    lineages = list(settings.release.lineages) or [Build(settings).lineage]
    chains = {fingerprint: chain(lake, fingerprint) for fingerprint in lineages}
    markers = _Markers(lake)
    inputs = [entry for fingerprint in lineages for entry in _inputs(markers, fingerprint, chains[fingerprint])]
    answers = _answers(lake, markers)
    of_queries = {table: _of_queries(table, lake, markers, set(lineages)) for table in _TABLES_OF_QUERIES}
    attempts = of_queries["attempts"]
    found = decontaminate(lake, settings.benchmarks) if settings.benchmarks.uri else contamination(lake)
    inputs += [entry for entries in of_queries.values() for entry in entries] + answers
    return {
        "format": FORMAT,
        "code": {"assemble": ASSEMBLE},
        "preset": settings.release.preset,
        "departures": settings.departures(),
        "policy": str(settings.release.policy),
        "consensus": {"seats": settings.desk.seats, "agree": settings.desk.agree},
        "drop_disagreeing": settings.release.drop_disagreeing,
        **(_people(lake) if answers else {"pseudonyms": None}),
        "targets": list(settings.release.targets),
        "lineages": lineages,
        "engines": {fingerprint: _engines(links) for fingerprint, links in chains.items()},
        "screened": _screened(lake, {entry["fingerprint"] for entry in attempts}),
        **answer_facts(lake, (entry["fingerprint"] for entry in answers)),
        # Of erased photos the lake has no rows, so that their ids need not be in the registry.
        "withdrawn": sorted(image for image, stone in lake.tombstones().items() if not stone["erased"]),
        "benchmarks": _benchmarks(found),
        "contaminated": {name: sorted(found[name]) for name in ("images", "questions")},
        "inputs": _sorted_once(inputs),
    }


def _people(lake: Lake) -> dict[str, Any]:
    """Return the key of pseudonyms, and the pseudonyms of who is voided if anybody is.

    Collect leaves their answers out, but there may have been none since.
    """
    key = pseudonyms.fingerprint(lake)
    voided = sorted(map(pseudonyms.reader(lake, key), votes.voided(lake)))
    return {"pseudonyms": key, **({"voided": voided} if voided else {})}


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return a snapshot as it is written to ``snapshot.json``."""
    return json.dumps(snapshot, sort_keys=True, indent=1).encode() + b"\n"


def _benchmarks(found: Found) -> list[dict[str, Any]]:
    """Return the benchmarks that the release was compared with: name, number of images, number of questions."""
    return [
        {key: facts[key] for key in ("name", "images", "questions")} for _, facts in sorted(found["benchmarks"].items())
    ]


def _engines(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: link[key] for key in _NAMED} for link in reversed(links)]


def _screened(lake: Lake, attempts: set[str]) -> list[dict[str, Any]]:
    """Return the models that screened the queries, one entry per attempts fingerprint, in order."""
    found = [{**(lake.get_json(f"lineages/{one}.json") or {}), "fingerprint": one} for one in sorted(attempts)]
    return [{key: facts[key] for key in (*_NAMED, "upstream")} for facts in found]


class _Markers:
    """Entries of shards, from the manifests."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def entries(self, table: str, fingerprint: str | None, shards: Iterable[Shard] | None = None) -> list[Entry]:
        """Return the entry of each of ``shards`` (default: all complete ones); raise LakeError if one is incomplete."""
        markers = self._lake.markers(table, fingerprint)
        entries = []
        for shard in markers if shards is None else shards:
            if shard not in markers:
                folder = self._lake.store.uri(self._lake.folder(table, fingerprint, shard))
                raise LakeError(f"{folder} is not complete; build it first")
            entries.append(_entry(table, fingerprint, shard, markers[shard]))
        return entries


def _entry(table: str, fingerprint: str | None, shard: Shard, marker: Marker) -> Entry:
    parts = [vars(part) for part in marker.parts]
    entry = {"table": table, "fingerprint": fingerprint, "shard": str(shard), "parts": parts}
    if table == "queries":  # only for the research artifact
        entry["rejects"] = [vars(part) for part in marker.rejects]
    return entry


def _inputs(markers: _Markers, fingerprint: str, links: list[dict[str, Any]]) -> list[Entry]:
    """Return the parts of each complete queries shard, and of the tables its rows refer to."""
    queries = markers.entries("queries", fingerprint)
    shards = [Shard.parse(entry["shard"]) for entry in queries]
    instances = markers.entries("instances", upstream_of(links, "segment"), shards)
    return [*queries, *instances, *markers.entries("images", None, shards)]


def _of_queries(table: str, lake: Lake, markers: _Markers, lineages: set[str]) -> list[Entry]:
    """Return the parts of the attempts or judgements on queries of these lineages."""
    matching = [fingerprint for fingerprint in lake.fingerprints(table) if _upstream(lake, fingerprint) in lineages]
    return [entry for fingerprint in matching for entry in markers.entries(table, fingerprint)]


def _answers(lake: Lake, markers: _Markers) -> list[Entry]:
    """Return the parts of all human answers: they belong to a question, independent of the lineage."""
    found = lake.fingerprints("answers")
    return [entry for fingerprint in found for entry in markers.entries("answers", fingerprint)]


def _upstream(lake: Lake, fingerprint: str) -> str | None:
    """Return the queries fingerprint that attempts or judgements belong to; None if unknown."""
    facts = lake.get_json(f"lineages/{fingerprint}.json")
    return facts["upstream"] if facts else None


def _sorted_once(entries: list[Entry]) -> list[Entry]:
    by_key = {(entry["table"], entry["fingerprint"] or "", entry["shard"]): entry for entry in entries}
    return [by_key[key] for key in sorted(by_key)]
