"""Inputs: reads the tables that a snapshot names, and the chain of stages behind a fingerprint."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.annotation import pseudonyms
from hopchain_etl.lake.lake import Lake, LakeError, Part, Shard
from hopchain_etl.lake.object_store import MissingObjectError, ObjectStore
from hopchain_etl.training_set.documents import parsed

FORMAT = 3  # of a snapshot
Snapshot = dict[str, Any]
Entry = dict[str, Any]  # of one shard: the parts listed in its marker

_TAKE_ONE = "run `hopchain snapshot` for a new one"


def read_snapshot(path: Path) -> Snapshot:
    """Return the snapshot in a file; raise FileNotFoundError, or ValueError if it is of another version.

    Raises DamagedDocumentError if it is none.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no {path} here; {_TAKE_ONE}")
    found: Snapshot = parsed(path.read_bytes(), dict, path, _TAKE_ONE)
    if found.get("format") != FORMAT:
        raise ValueError(f"{path} is of format {found.get('format')}, this version reads format {FORMAT}; {_TAKE_ONE}")
    return found


def chain(lake: Lake, fingerprint: str) -> list[dict[str, Any]]:
    """Return the chain of stages behind a fingerprint, starting with itself (read from ``lineages/``).

    Raises LakeError if the fingerprint is unknown.
    """
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
    """Return the fingerprint of ``stage`` in a chain; raise LakeError if it is not in the chain."""
    for link in links:
        if link["stage"] == stage:
            return str(link["fingerprint"])
    raise LakeError(f"lineage {links[0]['fingerprint']} has no stage {stage!r}")


class Inputs:
    """Reads the tables listed in a snapshot shard by shard; checks the sha256 of every part."""

    def __init__(self, snapshot: Snapshot, lake: Lake) -> None:
        self._lake = lake
        self.pseudonym = pseudonyms.reader(lake, snapshot["pseudonyms"])
        self._voided = frozenset(snapshot.get("voided", ()))
        self._entries: dict[tuple[str, str | None, str], Mapping[str, Any]] = {
            (entry["table"], entry["fingerprint"], entry["shard"]): entry for entry in snapshot["inputs"]
        }
        self._shards: defaultdict[tuple[str, str | None], list[Shard]] = defaultdict(list)
        self._fingerprints: defaultdict[tuple[str, str | None], set[str]] = defaultdict(set)
        for table, fingerprint, shard in self._entries:
            self._shards[table, fingerprint].append(Shard.parse(shard))
            if fingerprint:  # of the table, and of this shard of it
                self._fingerprints[table, None].add(fingerprint)
                self._fingerprints[table, shard].add(fingerprint)

    @property
    def store(self) -> ObjectStore:
        """The store of the lake."""
        return self._lake.store

    def version(self, table: str, fingerprint: str | None, shard: Shard) -> str:
        """Return 32 hex digits over the parts of a shard."""
        parts = self._entries[table, fingerprint, str(shard)]["parts"]
        return hashlib.sha256("".join(part["sha256"] for part in parts).encode()).hexdigest()[:32]

    def version_of_all(self, shard: Shard) -> str:
        """Return 32 hex digits over the parts of a shard in every table that has it."""
        return self._versions[str(shard)]

    @cached_property
    def _versions(self) -> dict[str, str]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for (table, fingerprint, shard), entry in self._entries.items():
            found[shard] += [table, str(fingerprint), *(part["sha256"] for part in entry["parts"])]
        return {shard: hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32] for shard, facts in found.items()}

    def is_voided(self, annotator: str) -> bool:
        """Return whether an annotator was voided when the snapshot was taken; their answers do not count."""
        return bool(self._voided) and self.pseudonym(annotator) in self._voided

    def shards(self, table: str, fingerprint: str | None = None) -> list[Shard]:
        """Return the shards of a table in the snapshot, in order."""
        return sorted(self._shards.get((table, fingerprint), ()))

    def fingerprints(self, table: str, shard: Shard | None = None) -> list[str]:
        """Return the fingerprints of a table in the snapshot, or of those with this shard, in order."""
        return sorted(self._fingerprints.get((table, str(shard) if shard else None), ()))

    def read(self, table: str, fingerprint: str | None, shard: Shard, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a shard's rows, including those of withdrawn images.

        Raises LakeError if the lake has changed since the snapshot.
        """
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
            raise LakeError(f"{error.args[0]} was deleted after the snapshot (erased?); take a new snapshot") from error

    def rejects(self, lineage: str, shard: Shard) -> pa.Table:
        """Return the rejects of a shard of the queries table (schemas.REJECTS); raises LakeError as ``read`` does."""
        return self._rows("queries", lineage, shard, "rejects", schemas.REJECTS)

    def rows(self, table: str, fingerprint: str | None, shard: Shard) -> Iterator[dict[str, Any]]:
        """Yield a shard's rows as dicts."""
        for batch in self.read(table, fingerprint, shard).to_batches(max_chunksize=1_000):
            yield from batch.to_pylist()
