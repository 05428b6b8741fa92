"""Lists the source bucket, stores new photos as an intake, and cuts it into shards.

``images/intake=<name>/_LISTED`` names one listing (``schemas.LISTING``) for each shard with its sha256, and is written
last: an interrupted listing does not exist. Objects in a listing count as seen and never become new again; of erased
photos the tombstones keep only a hash for this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Marker, Part, Shard
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.settings import IngestSettings


@dataclass(frozen=True)
class Intake:
    """One stored listing, the ``order``-th. ``listed`` objects were in the source, ``new`` of them are in here."""

    name: str
    order: int
    listed: int
    new: int
    parts: tuple[Part, ...]

    @property
    def shards(self) -> list[Shard]:
        """The intake's shards, in order."""
        return [Shard(self.name, index) for index in range(len(self.parts))]


def intakes(lake: Lake) -> list[Intake]:
    """Return every intake of the lake, in the order in which they were listed."""
    names = [
        folder.removeprefix("intake=") for folder in lake.store.list_folders("images/") if folder.startswith("intake=")
    ]
    stored = map_threads(lambda name: (name, lake.get_json(_marker(name))), names)
    return sorted((_intake(name, value) for name, value in stored if value), key=lambda intake: intake.order)


def listing(lake: Lake, shard: Shard) -> pa.Table:
    """Return the listing of one shard (schemas.LISTING), in key order; raise KeyError if there is none."""
    intake = _intake(shard.intake, json.loads(lake.store.get(_marker(shard.intake))))
    return _listing(lake, shard, intake.parts[shard.index])


def list_intake(lake: Lake, source: ObjectStore, settings: IngestSettings, name: str, before: list[Intake]) -> Intake:
    """List the source, store the objects that no intake in ``before`` contains as intake ``name``, and return it.

    Seen means the same uri and etag. Where nothing is new, nothing is stored and the intake has no shards. Raises
    StoreError if the source cannot be listed, ValueError if source and lake are the same location.
    """
    seen = _seen(lake, before)
    erased = {one for stone in lake.tombstones().values() for one in stone.get("seen", ())}
    listed, new = 0, []
    for row in _photos(lake, source):
        listed += 1
        if (row["uri"], row["etag"]) not in seen and seen_hash(row["uri"], row["etag"]) not in erased:
            new.append(row)
    new = sorted(new, key=lambda row: row["uri"])[: settings.limit]
    parts = tuple(
        lake.write_part(lake.folder("images", None, Shard(name, index)), "listing", rows)
        for index, rows in enumerate(_cut(new, settings.shard_size))
    )
    intake = Intake(name, max((old.order for old in before), default=0) + 1, listed, len(new), parts)
    if not parts:
        return intake
    value = {"order": intake.order, "listed": listed, "new": intake.new, "shards": [vars(part) for part in parts]}
    if not lake.store.put_if_absent(_marker(name), json.dumps(value, sort_keys=True, indent=1).encode()):
        return _intake(name, lake.get_json(_marker(name)))  # another process was faster (our lock had expired)
    return intake


def seen_hash(uri: str, etag: str) -> str:
    """Return 32 hex digits that stand for an object which was listed, and whose row was erased."""
    return hashlib.sha256(f"{uri}\n{etag}".encode()).hexdigest()[:32]


def markers(lake: Lake, shards: Iterable[Shard]) -> dict[Shard, Marker | None]:
    """Return the images marker of each shard, None if it is not complete."""
    return dict(map_threads(lambda shard: (shard, lake.marker("images", None, shard)), shards))


def _photos(lake: Lake, source: ObjectStore) -> Iterator[dict[str, Any]]:
    """Yield the source's objects as rows of schemas.LISTING, without folder keys and without the lake's own."""
    ours = lake.store.uri("") if lake.settings.endpoint_url == source.settings.endpoint_url else None
    if ours == source.uri(""):
        raise ValueError(f"{ours} is both source and lake; use another location for the lake")
    inside = ours if ours and ours.startswith(source.uri("")) else None
    for entry in source.list_objects():
        uri = source.uri(entry.key)
        folder = entry.key.endswith("/") and not entry.size
        if not folder and not (inside and uri.startswith(inside)):
            yield {"uri": uri, "etag": entry.etag, "bytes": entry.size}


def _cut(rows: list[dict[str, Any]], size: int) -> Iterator[pa.Table]:
    for at in range(0, len(rows), size):
        yield pa.Table.from_pylist(rows[at : at + size], schema=schemas.LISTING)


def _seen(lake: Lake, before: list[Intake]) -> set[tuple[str, str]]:
    shards = [(shard, part) for intake in before for shard, part in zip(intake.shards, intake.parts, strict=True)]
    tables = map_threads(lambda pair: _listing(lake, *pair), shards)
    return {(row["uri"], row["etag"]) for table in tables for row in table.to_pylist()}


def _listing(lake: Lake, shard: Shard, part: Part) -> pa.Table:
    return lake.parts(lake.folder("images", None, shard), [part], schemas.LISTING)


def _marker(name: str) -> str:
    return f"images/intake={name}/_LISTED"


def _intake(name: str, value: Any) -> Intake:
    parts = tuple(Part(**part) for part in value["shards"])
    return Intake(name, value["order"], value["listed"], value["new"], parts)
