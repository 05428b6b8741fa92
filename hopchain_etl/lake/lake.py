"""The data lake: tables, blobs, markers and raw answers, and the guarantees about them.

A shard of a table is a folder of parts with a ``_SUCCESS`` marker, written last. The marker names its parts with
their sha256 and row counts, and part names carry their content hash: a reader that follows the marker never sees a
half-written shard, and two writers of one shard cannot mix their rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.lake.manifest import Manifest
from hopchain_etl.lake.object_store import MissingObjectError, ObjectStore
from hopchain_etl.lake.shards import DocumentError, LakeError, Marker, Part, Shard, check_intake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.lake.view import View, each
from hopchain_etl.settings import LakeSettings

__all__ = ["Lake", "LakeError", "Marker", "Part", "Shard", "check_intake", "exclude_withdrawn", "is_fingerprint"]

_FINGERPRINT = re.compile(r"[0-9a-f]{12}")
_OF_AIRFLOW = re.compile(r"[a-z_]+__\d{4}-\d\d-\d\dT[\d:.]+\+\d\d:\d\d(_[A-Za-z0-9]+)?")  # ids of runs that it makes
_WITHDRAWN_SECONDS = 5.0  # how old the set of withdrawn images may be
_LEAST_COPIED = 1 << 20  # bytes: sending fewer takes less processor time than asking the server for a copy
_TOMBSTONES = pa.schema([pa.field("document", pa.string())])


def is_fingerprint(name: str) -> bool:
    """Return whether ``name`` is written as fingerprints are."""
    return bool(_FINGERPRINT.fullmatch(name))


class Lake:
    """The lake at one S3 location."""

    def __init__(self, settings: LakeSettings) -> None:
        self.settings = settings
        self.store = open_store(settings)
        self._manifests: dict[tuple[str, str | None], Manifest] = {}
        self._withdrawn: tuple[float, frozenset[str]] = (-inf, frozenset())  # time of reading, image_ids

    # --- blobs: normalised image bytes, by content ---

    def put_blob(self, data: bytes, sha: str, *, copy_of: tuple[ObjectStore, str, str] | None = None) -> None:
        """Store image bytes under their sha256.

        ``copy_of`` are store, key and etag of an object with these bytes, which the server then copies if it is large.
        """
        if not (copy_of and len(data) >= _LEAST_COPIED and self.store.copy(f"blobs/{sha}", *copy_of)):
            self.store.put(f"blobs/{sha}", data)  # the same bytes again at worst: cheaper than checking first

    def blob(self, sha: str) -> bytes:
        """Return image bytes by sha256; raise LakeError if they are missing or their checksum does not match."""
        try:
            data = self.store.get(f"blobs/{sha}")
        except MissingObjectError as error:
            raise LakeError(f"{self.store.uri(f'blobs/{sha}')} is missing: erased, or the lake is damaged") from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise LakeError(f"{self.store.uri(f'blobs/{sha}')} does not match the checksum in its name")
        return data

    # --- tombstones ---

    def write_tombstone(self, image_id: str, *, reason: str, blob_sha: str | None, erased: bool = False) -> None:
        """Write the tombstone of an image: all readers skip it from now on."""
        stone = {"image_id": image_id, "blob_sha": blob_sha, "reason": reason, "erased": erased}
        key = f"withdrawn/{image_id}.json"
        data = json.dumps(stone, sort_keys=True).encode()
        if not self.store.put_if_absent(key, data) and erased:
            self.store.put(key, data)  # was withdrawn earlier, is erased now
        self._withdrawn = (-inf, frozenset())

    def withdrawn(self) -> frozenset[str]:
        """Return the image_ids of all withdrawn photos, as of at most five seconds ago."""
        read_at, images = self._withdrawn
        if time.monotonic() > read_at + _WITHDRAWN_SECONDS:
            images = frozenset(key.removeprefix("withdrawn/").removesuffix(".json") for key in self._tombstone_etags())
            self._withdrawn = time.monotonic(), images
        return images

    def tombstones(self) -> dict[str, dict[str, Any]]:
        """Return every tombstone by image_id; only those that are new since the last call are read one by one."""

        def read(key: str) -> pa.Table:
            return pa.table({"document": [self.store.get(key).decode()]}, schema=_TOMBSTONES)

        rows = View(self.store, "withdrawn", _TOMBSTONES).rows(self._tombstone_etags(), each(read))
        stones = (json.loads(document) for document in rows["document"].to_pylist())
        return {stone["image_id"]: stone for stone in stones}

    def _tombstone_etags(self) -> dict[str, str]:
        return {entry.key: entry.etag for entry in self.store.list_objects("withdrawn/")}

    # --- tables ---

    def folder(self, table: str, fingerprint: str | None, shard: Shard) -> str:
        """Return the key prefix of a shard; images have no fingerprint, all other tables have."""
        if table not in schemas.TABLES or (fingerprint is None) != (table == "images"):
            raise ValueError(f"no table {table!r} with fingerprint {fingerprint!r}")
        lineage = f"{table}/{fingerprint}" if fingerprint else table
        return f"{lineage}/{shard.folder}"

    def marker(self, table: str, fingerprint: str | None, shard: Shard) -> Marker | None:
        """Return the shard's marker, or None while the shard is not complete."""
        data = self.marker_bytes(table, fingerprint, shard)
        return None if data is None else Marker.from_json(data)

    def marker_bytes(self, table: str, fingerprint: str | None, shard: Shard) -> bytes | None:
        """Return the shard's marker as it is stored, or None while the shard is not complete."""
        try:
            return self.store.get(self.folder(table, fingerprint, shard) + "_SUCCESS")
        except MissingObjectError:
            return None

    def inputs_digest(self, sources: Iterable[tuple[str, str | None]], shard: Shard) -> str:
        """Return 16 hex digits over the markers of a shard's source tables; raise LakeError if a marker is missing."""
        markers = []
        for table, fingerprint in sources:
            marker = self.marker(table, fingerprint, shard)
            if marker is None:
                raise LakeError(f"{self.store.uri(self.folder(table, fingerprint, shard))} is not complete yet")
            markers.append(marker)
        return inputs_digest(markers)

    def manifest(self, table: str, fingerprint: str | None) -> Manifest:
        """Return the manifest of a table under one fingerprint."""
        if (table, fingerprint) not in self._manifests:
            prefix = f"{table}/{fingerprint}/" if fingerprint else f"{table}/"
            manifest = Manifest(self.store, f"manifests/{table}/{fingerprint or '-'}/", prefix)
            self._manifests[table, fingerprint] = manifest
        return self._manifests[table, fingerprint]

    def markers(self, table: str, fingerprint: str | None = None) -> dict[Shard, Marker]:
        """Return the marker of each complete shard of a table under one fingerprint, in order, from its manifest."""
        return self.manifest(table, fingerprint).read()

    def completed_shards(self, table: str, fingerprint: str | None = None) -> list[Shard]:
        """Return the complete shards of a table under one fingerprint, in order."""
        return list(self.markers(table, fingerprint))

    def fingerprints(self, table: str) -> list[str]:
        """Return the fingerprints under which ``table`` has any data.

        Raw answers are stored beside their table, in folders named after queries: those names are longer.
        """
        return sorted(filter(is_fingerprint, self.store.list_folders(f"{table}/")))

    def tables(self) -> list[tuple[str, str | None]]:
        """Return every table with each of the fingerprints under which it has data."""
        derived = [(table, name) for table in schemas.TABLES if table != "images" for name in self.fingerprints(table)]
        return [("images", None), *derived]

    def drop_views(self) -> None:
        """Erase every view; the next reader makes it anew."""
        self.store.erase([entry.key for entry in self.store.list_objects("views/")])

    def read(
        self, table: str, fingerprint: str | None, shard: Shard, *, withdrawn: Iterable[str] | None = None
    ) -> pa.Table:
        """Return a complete shard's rows without withdrawn images; raise LakeError if it is not complete."""
        marker = self.marker(table, fingerprint, shard)
        folder = self.folder(table, fingerprint, shard)
        if marker is None:
            raise LakeError(f"{self.store.uri(folder)} is not complete; run its stage first")
        rows = self.parts(folder, marker.parts, schemas.TABLES[table])
        return exclude_withdrawn(rows, self.withdrawn() if withdrawn is None else withdrawn)

    def rejects(self, table: str, fingerprint: str | None, shard: Shard) -> pa.Table:
        """Return the rejected and failed rows of a complete shard (schemas.REJECTS)."""
        marker = self.marker(table, fingerprint, shard)
        parts = marker.rejects if marker else ()
        return self.parts(self.folder(table, fingerprint, shard), parts, schemas.REJECTS)

    def parts(
        self, folder: str, parts: Iterable[Part], schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Return the rows of ``parts``; raise LakeError if the bytes do not match the checksum in the marker."""
        import pyarrow.parquet as pq  # here and below: takes a tenth of a second, and markers alone do not need it

        tables = [schema.empty_table().select(columns or schema.names)]
        for part in parts:
            data = self.store.get(folder + part.name)
            if hashlib.sha256(data).hexdigest() != part.sha256:
                raise LakeError(f"{self.store.uri(folder + part.name)} changed after it was marked complete")
            tables.append(pq.read_table(io.BytesIO(data), schema=schema, columns=columns))
        return pa.concat_tables(tables)

    def write_part(self, folder: str, stem: str, rows: pa.Table, *, stored: Iterable[Part] = ()) -> Part:
        """Write one Parquet part below ``folder``, unless it is one of ``stored``; return its entry for the marker."""
        from hopchain_etl.lake.parquet import parquet_bytes  # those who only read markers do without

        data = parquet_bytes(rows)
        sha = hashlib.sha256(data).hexdigest()
        part = Part(f"{stem}-{sha[:8]}.parquet", rows.num_rows, sha, len(data))
        if part not in stored:
            self.store.put(folder + part.name, data)
        return part

    def write_parts(self, folder: str, stem: str, rows: pa.Table, *, stored: Sequence[Part] = ()) -> tuple[Part, ...]:
        """Write ``rows`` as parts of at most ``rows_per_part`` rows and return their entries for the marker.

        A part that is one of ``stored``, those of the shard's marker, is not written again.
        """
        size = self.settings.rows_per_part
        starts = enumerate(range(0, rows.num_rows, size))
        return tuple(
            self.write_part(folder, f"{stem}-{number:05d}", rows.slice(at, size), stored=stored)
            for number, at in starts
        )

    def write_marker(self, table: str, fingerprint: str | None, shard: Shard, marker: Marker) -> None:
        """Publish a shard by writing its marker; replace one only if rows of it were open or its inputs are older.

        Parts that no marker names (of killed or replaced attempts) stay until ``hopchain gc``: removing them here could
        delete files of another writer that is about to write its marker.
        """
        key = self.folder(table, fingerprint, shard) + "_SUCCESS"
        if not self.store.put_if_absent(key, marker.to_json()):
            stored = Marker.from_json(self.store.get(key))
            if stored.failed or stored.quarantined or stored.inputs != marker.inputs:
                self.replace_marker(table, fingerprint, shard, marker)
                return
            marker = stored
        self.manifest(table, fingerprint).record(shard, marker)

    def replace_marker(self, table: str, fingerprint: str | None, shard: Shard, marker: Marker) -> None:
        """Write a marker in place of a complete shard's.

        It is recorded before, so that no reader trusts the old one after a kill, and again afterwards, because a fold
        in between has read the old one.
        """
        self.manifest(table, fingerprint).record(shard, marker)
        self.store.put(self.folder(table, fingerprint, shard) + "_SUCCESS", marker.to_json())
        self.manifest(table, fingerprint).record(shard, marker)

    def drop_table(self, table: str, fingerprint: str) -> None:
        """Delete everything of a table under one fingerprint: first its manifest, then its objects."""
        self.manifest(table, fingerprint).drop()
        self.store.delete([entry.key for entry in self.store.list_objects(f"{table}/{fingerprint}/")])

    # --- small JSON documents: runs, batches, stats ---

    def put_json(self, key: str, value: Any) -> None:
        """Write ``value`` as JSON under ``key``."""
        self.store.put(key, json.dumps(value, sort_keys=True, indent=1).encode())

    def get_json(self, key: str) -> Any | None:
        """Return the JSON document under ``key``, or None; raise DocumentError if it is not JSON."""
        try:
            return json.loads(self.store.get(key))
        except MissingObjectError:
            return None
        except ValueError as error:
            raise DocumentError(f"{self.store.uri(key)} is damaged, it is not JSON: {error}") from error

    def images(self) -> Iterator[tuple[Shard, pa.Table]]:
        """Yield every complete images shard, without withdrawn images."""
        withdrawn = self.withdrawn()
        for shard in self.completed_shards("images"):
            yield shard, self.read("images", None, shard, withdrawn=withdrawn)


def inputs_digest(markers: Iterable[Marker]) -> str:
    """Return 16 hex digits over the rows of a shard's source tables."""
    digest = hashlib.sha256()
    for marker in markers:
        digest.update("\n".join(part.sha256 for part in marker.parts).encode() + b"\0")
    return digest.hexdigest()[:16]


def exclude_withdrawn(rows: pa.Table, withdrawn: Iterable[str]) -> pa.Table:
    """Return ``rows`` less those of withdrawn images."""
    excluded = sorted(withdrawn)
    if "image_id" not in rows.column_names or not excluded:
        return rows
    import pyarrow.compute as pc

    return rows.filter(pc.invert(pc.is_in(rows["image_id"], value_set=pa.array(excluded, pa.string()))))


def key_part(text: str) -> str:
    """Return a text as a part of keys: characters that are not allowed become ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def run_key(run_id: str) -> str:
    """Return Airflow's id of a run as a part of keys, which no other run has; a key is its own key.

    People may choose ids such as ``a:b`` and ``a+b``: a hash keeps them apart. Those that Airflow makes are apart as
    they are.
    """
    part = key_part(run_id)
    if part == run_id or _OF_AIRFLOW.fullmatch(run_id):
        return part
    return f"{part[:200]}.{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"
