"""What a release is made from, written down once: every input part with its sha256, and who looked at the photos.

``snapshot.json`` is the only thing that the release's DVC stages know of the lake. It holds no clocks: the same lake
gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from hopchain_etl import records
from hopchain_etl.lake import Lake, LakeError, Part, Shard
from hopchain_etl.settings import Settings
from hopchain_etl.store import MissingObjectError

FORMAT = 1
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")
_TARGET = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")  # it becomes a folder, a part of a tag and a shell argument

Snapshot = dict[str, Any]


def take_snapshot(lake: Lake, settings: Settings) -> Snapshot:
    """Return the snapshot of what a release would be made from now; reads only the lake.

    Raises LakeError where a lineage is unknown, or a shard of it rests on tables that are not complete, and ValueError
    for a target that cannot be a folder.
    """
    from hopchain_etl.stages.assemble import REVISION as ASSEMBLE

    for target in settings.release.targets:
        if not _TARGET.fullmatch(target) or target == "images":
            raise ValueError(f"{target!r} cannot name a target; use letters and digits, with '.', '_' or '-' between")
    lineages = list(settings.release.lineages) or [_todays_lineage(settings)]
    chains = {fingerprint: chain(lake, fingerprint) for fingerprint in lineages}
    inputs = [entry for fingerprint in lineages for entry in _inputs(lake, fingerprint, chains[fingerprint])]
    answers = _answers(lake)
    inputs += _attempts(lake, set(lineages)) + answers
    return {
        "format": FORMAT,
        "code": {"assemble": ASSEMBLE},
        "policy": str(settings.release.policy),
        "targets": list(settings.release.targets),
        "lineages": lineages,
        "engines": {fingerprint: _engines(links) for fingerprint, links in chains.items()},
        "asked": {entry["fingerprint"]: _upstream(lake, entry["fingerprint"]) for entry in answers},
        "withdrawn": sorted(lake.withdrawn()),
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
        self._entries: dict[tuple[str, str | None, str], Mapping[str, Any]] = {
            (entry["table"], entry["fingerprint"], entry["shard"]): entry for entry in snapshot["inputs"]
        }

    def shards(self, table: str, fingerprint: str | None = None) -> list[Shard]:
        """Return the shards that the snapshot names of a table, in order."""
        return sorted(Shard.parse(shard) for t, f, shard in self._entries if (t, f) == (table, fingerprint))

    def fingerprints(self, table: str) -> list[str]:
        """Return the fingerprints that the snapshot names of a table."""
        return sorted({f for t, f, _ in self._entries if t == table and f})

    def read(self, table: str, fingerprint: str | None, shard: Shard) -> pa.Table:
        """Return a shard's rows, those of withdrawn images too; raise LakeError where the lake changed since."""
        entry = self._entries[table, fingerprint, str(shard)]
        folder = self._lake.folder(table, fingerprint, shard)
        try:
            return self._lake.parts(folder, (Part(**part) for part in entry["parts"]), records.TABLES[table])
        except MissingObjectError as error:
            raise LakeError(f"{error.args[0]} is gone since the snapshot (erased?); take a new snapshot") from error

    def rows(self, table: str, fingerprint: str | None, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yield a shard's rows as dicts."""
        for batch in self.read(table, fingerprint, shard).to_batches(max_chunksize=1_000):
            yield from batch.to_pylist()


def _todays_lineage(settings: Settings) -> str:
    from hopchain_etl.build import Build

    return Build(settings).lineage


def _engines(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named = ("stage", "fingerprint", "model", "model_revision", "revision")
    return [{key: link[key] for key in named} for link in reversed(links)]


def _inputs(lake: Lake, fingerprint: str, links: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the parts of each complete queries shard, and of what its rows refer to."""
    instances = upstream_of(links, "segment")
    for shard in lake.completed("queries", fingerprint):
        yield _entry(lake, "queries", fingerprint, shard)
        yield _entry(lake, "instances", instances, shard)
        yield _entry(lake, "images", None, shard)


def _attempts(lake: Lake, lineages: set[str]) -> list[dict[str, Any]]:
    """Return the parts of what weaker models answered to queries of these lineages."""
    found = []
    for fingerprint in filter(_FINGERPRINT.fullmatch, lake.fingerprints("attempts")):
        if _upstream(lake, fingerprint) in lineages:
            found += [_entry(lake, "attempts", fingerprint, one) for one in lake.completed("attempts", fingerprint)]
    return found


def _answers(lake: Lake) -> list[dict[str, Any]]:
    """Return the parts of all human answers: they belong to a question, whichever lineage asked it first.

    Raw answers lie beside the table, in folders named after queries; those names are longer.
    """
    return [
        _entry(lake, "answers", fingerprint, shard)
        for fingerprint in filter(_FINGERPRINT.fullmatch, lake.fingerprints("answers"))
        for shard in lake.completed("answers", fingerprint)
    ]


def _upstream(lake: Lake, fingerprint: str) -> str | None:
    """Return the queries fingerprint that answers or attempts belong to; None where that is not known."""
    facts = lake.get_json(f"lineages/{fingerprint}.json")
    return facts["upstream"] if facts else None


def _entry(lake: Lake, table: str, fingerprint: str | None, shard: Shard) -> dict[str, Any]:
    marker = lake.marker(table, fingerprint, shard)
    if marker is None:
        raise LakeError(f"{lake.store.uri(lake.folder(table, fingerprint, shard))} is not complete; build it first")
    parts = [vars(part) for part in marker.parts]
    return {"table": table, "fingerprint": fingerprint, "shard": str(shard), "parts": parts}


def _sorted_once(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_key = {(entry["table"], entry["fingerprint"] or "", entry["shard"]): entry for entry in entries}
    return [by_key[key] for key in sorted(by_key)]
