"""What a release is made from, written down once: every input part with its sha256, and who looked at the photos.

``snapshot.json`` is the only thing that the release's DVC stages know of the lake. It holds no clocks: the same lake
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.annotation import pseudonyms
from hopchain_etl.concurrency import map_threads
from hopchain_etl.decontaminate import Found, contamination, decontaminate
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Part, Shard
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.settings import Settings

FORMAT = 3
_OF_QUERIES = ("attempts", "judgements")
_TARGET = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")  # it becomes a folder, a part of a tag and a shell argument

_NAMED = ("stage", "fingerprint", "model", "model_revision", "revision")  # what is told of an engine

Snapshot = dict[str, Any]
Entry = dict[str, Any]  # of a shard: what its marker vouches for


def take_snapshot(lake: Lake, settings: Settings, before: Snapshot | None = None) -> Snapshot:
    """Return the snapshot of what a release would be made from now.

    Writes nothing but the key of pseudonyms and what ``decontaminate`` finds, where the settings name a benchmark. Of
    shards that ``before``, an earlier snapshot, names with the marker that they still have nothing is read.
    Raises LakeError where a lineage is unknown, or a shard of it rests on tables that are not complete, and ValueError
    for a target that cannot be a folder.
    """
    from hopchain_etl.stages.assemble import REVISION as ASSEMBLE

    for target in settings.release.targets:
        if not _TARGET.fullmatch(target) or target == "images":
            raise ValueError(f"{target!r} cannot name a target; use letters and digits, with '.', '_' or '-' between")
    lineages = list(settings.release.lineages) or [_todays_lineage(settings)]
    chains = {fingerprint: chain(lake, fingerprint) for fingerprint in lineages}
    markers = _Markers(lake, before)
    inputs = [entry for fingerprint in lineages for entry in _inputs(markers, fingerprint, chains[fingerprint])]
    answers = _answers(lake, markers)
    about = {table: _about(table, lake, markers, set(lineages)) for table in _OF_QUERIES}
    attempts = about["attempts"]
    found = decontaminate(lake, settings.benchmarks) if settings.benchmarks.uri else contamination(lake)
    inputs += [entry for entries in about.values() for entry in entries] + answers
    return {
        "format": FORMAT,
        "code": {"assemble": ASSEMBLE},
        "preset": settings.release.preset,
        "departures": settings.departures(),
        "policy": str(settings.release.policy),
        "consensus": {"seats": settings.desk.seats, "agree": settings.desk.agree},
        "drop_disagreeing": settings.release.drop_disagreeing,
        "pseudonyms": pseudonyms.fingerprint(lake) if answers else None,
        "targets": list(settings.release.targets),
        "lineages": lineages,
        "engines": {fingerprint: _engines(links) for fingerprint, links in chains.items()},
        "screened": _screened(lake, {entry["fingerprint"] for entry in attempts}),
        "asked": {entry["fingerprint"]: _upstream(lake, entry["fingerprint"]) for entry in answers},
        "withdrawn": sorted(lake.withdrawn()),
        "benchmarks": _benchmarks(found),
        "contaminated": {name: sorted(found[name]) for name in ("images", "questions")},
        "inputs": _sorted_once(inputs),
    }


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return a snapshot as it is written to ``snapshot.json``."""
    return json.dumps(snapshot, sort_keys=True, indent=1).encode() + b"\n"


def chain(lake: Lake, fingerprint: str) -> list[dict[str, Any]]:
    """Return the stages behind a fingerprint, itself first, as ``lineages/<fingerprint>.json`` names them."""
    links: list[dict[str, Any]] = []
    at: str | None = fingerprint
    while at is not None:
        facts = lake.get_json(f"lineages/{at}.json")
        if facts is None:
            known = ", ".join(lake.fingerprints("queries")) or "none yet"
            raise LakeError(f"no lineage {at!r} in {lake.store.uri('lineages/')}; queries were built under: {known}")
        links.append({**facts, "fingerprint": at})
        at = facts["upstream"]
    return links


def upstream_of(links: list[dict[str, Any]], stage: str) -> str:
    """Return the fingerprint of ``stage`` in a chain; raise LakeError where it has none."""
    for link in links:
        if link["stage"] == stage:
            return str(link["fingerprint"])
    raise LakeError(f"lineage {links[0]['fingerprint']} has no stage {stage!r}")


class Inputs:
    """The tables that a snapshot names, read shard by shard; every part's sha256 is checked on the way."""

    def __init__(self, snapshot: Snapshot, lake: Lake) -> None:
        self._lake = lake
        self.pseudonym = pseudonyms.reader(lake, snapshot["pseudonyms"])
        self._entries: dict[tuple[str, str | None, str], Mapping[str, Any]] = {
            (entry["table"], entry["fingerprint"], entry["shard"]): entry for entry in snapshot["inputs"]
        }

    def shards(self, table: str, fingerprint: str | None = None) -> list[Shard]:
        """Return the shards that the snapshot names of a table, in order."""
        return sorted(Shard.parse(shard) for t, f, shard in self._entries if (t, f) == (table, fingerprint))

    def fingerprints(self, table: str) -> list[str]:
        """Return the fingerprints that the snapshot names of a table."""
        return sorted({f for t, f, _ in self._entries if t == table and f})

    def read(self, table: str, fingerprint: str | None, shard: Shard, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a shard's rows, those of withdrawn images too; raise LakeError where the lake changed since."""
        return self._rows(table, fingerprint, shard, "parts", schemas.TABLES[table], columns)

    def _rows(
        self,
        table: str,
        fingerprint: str | None,
        shard: Shard,
        kind: str,
        schema: pa.Schema,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        entry = self._entries[table, fingerprint, str(shard)]
        parts = (Part(**part) for part in entry[kind])
        try:
            return self._lake.parts(self._lake.folder(table, fingerprint, shard), parts, schema, columns)
        except MissingObjectError as error:
            raise LakeError(f"{error.args[0]} is gone since the snapshot (erased?); take a new snapshot") from error

    def rejects(self, lineage: str, shard: Shard) -> pa.Table:
        """Return what was refused of a shard's queries when they were written (records.REJECTS); LakeError as above."""
        return self._rows("queries", lineage, shard, "rejects", schemas.REJECTS)

    def rows(self, table: str, fingerprint: str | None, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yield a shard's rows as dicts."""
        for batch in self.read(table, fingerprint, shard).to_batches(max_chunksize=1_000):
            yield from batch.to_pylist()


def _benchmarks(found: Found) -> list[dict[str, Any]]:
    """Return what a release was held against: name and numbers of images and questions of each benchmark."""
    return [
        {key: facts[key] for key in ("name", "images", "questions")} for _, facts in sorted(found["benchmarks"].items())
    ]


def _todays_lineage(settings: Settings) -> str:
    from hopchain_etl.pipeline.build import Build

    return Build(settings).lineage


def _engines(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: link[key] for key in _NAMED} for link in reversed(links)]


def _screened(lake: Lake, attempts: set[str]) -> list[dict[str, Any]]:
    """Return who tried to solve the queries, one entry a fingerprint of attempts, in order."""
    found = [{**(lake.get_json(f"lineages/{one}.json") or {}), "fingerprint": one} for one in sorted(attempts)]
    return [{key: facts[key] for key in (*_NAMED, "upstream")} for facts in found]


class _Markers:
    """Entries of shards, from their markers, or from an earlier snapshot where the marker is still the same."""

    def __init__(self, lake: Lake, before: Snapshot | None) -> None:
        self._lake = lake
        same_format = before is not None and before["format"] == FORMAT
        self._before: dict[tuple[str, str | None, str], Entry] = {
            (entry["table"], entry["fingerprint"], entry["shard"]): entry
            for entry in (before["inputs"] if before and same_format else ())
        }

    def entries(self, table: str, fingerprint: str | None, shards: Iterable[Shard] | None = None) -> list[Entry]:
        """Return the entry of each of ``shards``, by default of all complete ones; LakeError where one is not."""
        marked = self._lake.marked(table, fingerprint)

        def entry(shard: Shard) -> Entry:
            held = self._before.get((table, fingerprint, str(shard)))
            if held and held["marker"] == marked.get(shard, "").strip('"'):
                return held
            return self._read(table, fingerprint, shard)

        return map_threads(entry, sorted(marked) if shards is None else shards)

    def _read(self, table: str, fingerprint: str | None, shard: Shard) -> Entry:
        data = self._lake.marker_bytes(table, fingerprint, shard)
        if data is None:
            raise LakeError(
                f"{self._lake.store.uri(self._lake.folder(table, fingerprint, shard))} is not complete; build it first"
            )
        marker = Marker.from_json(data)
        entry = {
            "table": table,
            "fingerprint": fingerprint,
            "shard": str(shard),
            # Also its ETag wherever the store does not encrypt: a changed marker is seen in the listing.
            "marker": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "parts": [vars(part) for part in marker.parts],
        }
        if table == "queries":  # for the research artifact; no row of a training set is made from them
            entry["rejects"] = [vars(part) for part in marker.rejects]
        return entry


def _inputs(markers: _Markers, fingerprint: str, links: list[dict[str, Any]]) -> list[Entry]:
    """Return the parts of each complete queries shard, and of what its rows refer to."""
    queries = markers.entries("queries", fingerprint)
    shards = [Shard.parse(entry["shard"]) for entry in queries]
    instances = markers.entries("instances", upstream_of(links, "segment"), shards)
    return [*queries, *instances, *markers.entries("images", None, shards)]


def _about(table: str, lake: Lake, markers: _Markers, lineages: set[str]) -> list[Entry]:
    """Return the parts of what weaker models answered to queries of these lineages, or a judge said of them."""
    mine = [fingerprint for fingerprint in lake.fingerprints(table) if _upstream(lake, fingerprint) in lineages]
    return [entry for fingerprint in mine for entry in markers.entries(table, fingerprint)]


def _answers(lake: Lake, markers: _Markers) -> list[Entry]:
    """Return the parts of all human answers: they belong to a question, whichever lineage asked it first."""
    found = lake.fingerprints("answers")
    return [entry for fingerprint in found for entry in markers.entries("answers", fingerprint)]


def _upstream(lake: Lake, fingerprint: str) -> str | None:
    """Return the queries fingerprint that answers or attempts belong to; None where that is not known."""
    facts = lake.get_json(f"lineages/{fingerprint}.json")
    return facts["upstream"] if facts else None


def _sorted_once(entries: list[Entry]) -> list[Entry]:
    by_key = {(entry["table"], entry["fingerprint"] or "", entry["shard"]): entry for entry in entries}
    return [by_key[key] for key in sorted(by_key)]
