"""Lists the source bucket, stores new photos as an intake, and cuts it into shards.

``images/intake=<name>/_LISTED`` names one listing (``schemas.LISTING``) for each shard with its sha256, and is written
last: an interrupted listing does not exist. Objects in a listing count as seen and never become new again; of erased
photos the tombstones keep only a hash for this.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.concurrency import batched, map_threads
from hopchain_etl.lake.digests import Digests
from hopchain_etl.lake.lake import Lake, Part, Shard
from hopchain_etl.lake.object_store import ObjectInfo, ObjectStore
from hopchain_etl.lake.view import View, each
from hopchain_etl.settings import IngestSettings, SourceSettings
from hopchain_etl.stages.inventory import inventory_objects

_BATCH = 10_000  # objects of the source that are compared with the seen ones at once
_SEEN = pa.schema([pa.field("digest", pa.binary(16))])
_INTAKES = pa.schema(
    [
        ("intake", pa.string()),
        ("order", pa.int64()),
        ("listed", pa.int64()),
        ("new", pa.int64()),
        ("name", pa.string()),
        ("rows", pa.int64()),
        ("sha256", pa.string()),
        ("size", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Intake:
    """One stored listing, the ``order``-th. ``listed`` objects were in the source, ``new`` of them are in here.

    ``set_aside`` of them were left out as no photos; that is known only where this process has listed the source.
    """

    name: str
    order: int
    listed: int
    new: int
    parts: tuple[Part, ...]
    set_aside: int = 0

    @property
    def shards(self) -> list[Shard]:
        """The intake's shards, in order."""
        return [Shard(self.name, index) for index in range(len(self.parts))]


def intakes(lake: Lake) -> list[Intake]:
    """Return every intake of the lake, in the order in which they were listed. Only new ones are read one by one."""
    folders = (folder for folder in lake.store.list_folders("images/") if folder.startswith("intake="))
    names = {folder.removeprefix("intake="): "" for folder in folders}

    def read(name: str) -> pa.Table | None:
        value = lake.get_json(_marker(name))
        if value is None:  # an interrupted listing
            return None
        own = {"intake": name, "order": value["order"], "listed": value["listed"], "new": value["new"]}
        return pa.Table.from_pylist([{**own, **part} for part in value["shards"]], schema=_INTAKES)

    facts: dict[str, Intake] = {}
    parts: defaultdict[str, list[Part]] = defaultdict(list)
    for row in View(lake.store, "intakes", _INTAKES).rows(names, each(read)).to_pylist():
        facts[row["intake"]] = Intake(row["intake"], row["order"], row["listed"], row["new"], ())
        parts[row["intake"]].append(Part(row["name"], row["rows"], row["sha256"], row["size"]))
    found = (replace(intake, parts=tuple(parts[name])) for name, intake in facts.items())
    return sorted(found, key=lambda intake: intake.order)


def listing(lake: Lake, shard: Shard, part: Part) -> pa.Table:
    """Return the listing of one shard (schemas.LISTING), in key order."""
    return lake.parts(lake.folder("images", None, shard), [part], schemas.LISTING)


def list_intake(
    lake: Lake,
    source: ObjectStore,
    settings: IngestSettings,
    name: str,
    before: list[Intake],
    *,
    check: Callable[[], None] = lambda: None,
    is_no_photo: Callable[[str], bool] = lambda uri: False,
) -> Intake:
    """List the source, store the objects that no intake in ``before`` contains as intake ``name``, and return it.

    Seen means the same uri and etag. Where nothing is new, nothing is stored and the intake has no shards. Raises
    StoreError if the source cannot be listed, ValueError if source and lake are the same location. ``check`` raises if
    this process may not go on, because its lock is lost. ``is_no_photo`` says of a uri what is left out.
    """
    erased = [bytes.fromhex(seen) for stone in lake.tombstones().values() for seen in stone.get("seen", ())]
    seen = Digests(_seen(lake, before), erased)
    listed, aside = 0, 0
    new: list[pa.Table] = []
    for rows in batched(_photos(lake, source), _BATCH):
        check()
        photos = [row for row in rows if not is_no_photo(row["uri"])]
        listed, aside = listed + len(rows), aside + len(rows) - len(photos)
        known = seen.contain([digest(row["uri"], row["etag"]) for row in photos])
        unseen = [row for row, is_known in zip(photos, known, strict=True) if not is_known]
        if unseen:
            new.append(pa.Table.from_pylist(unseen, schema=schemas.LISTING))
    order = max((old.order for old in before), default=0) + 1
    if not new:  # most runs: without pyarrow's sort and what it loads, which take longer than all the rest
        return Intake(name, order, listed, 0, (), aside)
    fresh = pa.concat_tables(new).sort_by("uri").slice(0, settings.limit)
    parts = tuple(
        lake.write_part(
            lake.folder("images", None, Shard(name, index)), "listing", fresh.slice(at, settings.shard_size)
        )
        for index, at in enumerate(range(0, fresh.num_rows, settings.shard_size))
    )
    intake = Intake(name, order, listed, fresh.num_rows, parts, aside)
    value = {"order": intake.order, "listed": listed, "new": intake.new, "shards": [vars(part) for part in parts]}
    check()
    if not lake.store.put_if_absent(_marker(name), json.dumps(value, sort_keys=True, indent=1).encode()):
        return next(one for one in intakes(lake) if one.name == name)  # another process was faster
    return intake


def digest(uri: str, etag: str) -> bytes:
    """Return 16 bytes that stand for an object that was seen."""
    return hashlib.sha256(f"{uri}\n{etag}".encode()).digest()[:16]


def seen_hash(uri: str, etag: str) -> str:
    """Return the same as 32 hex digits: it stands in a tombstone for an object whose row was erased."""
    return digest(uri, etag).hex()


def _photos(lake: Lake, source: ObjectStore) -> Iterator[dict[str, Any]]:
    """Yield the source's objects as rows of schemas.LISTING, without folder keys and without the lake's own."""
    ours = lake.store.uri("") if lake.settings.endpoint_url == source.settings.endpoint_url else None
    if ours == source.uri(""):
        raise ValueError(f"{ours} is both source and lake; use another location for the lake")
    inside = ours if ours and ours.startswith(source.uri("")) else None
    for entry in _objects(source):
        uri = source.uri(entry.key)
        folder = uri.endswith("/") and not entry.size  # also that of the source itself, whose key is empty
        if not folder and not (inside and uri.startswith(inside)):
            yield {"uri": uri, "etag": entry.etag, "bytes": entry.size}


def _objects(source: ObjectStore) -> Iterator[ObjectInfo]:
    settings = source.settings
    return (
        inventory_objects(settings)
        if isinstance(settings, SourceSettings) and settings.inventory
        else source.list_objects()
    )


def _seen(lake: Lake, before: Iterable[Intake]) -> pa.ChunkedArray:
    """Return the digests of all objects in the listings of ``before``."""
    by_name = {intake.name: intake for intake in before}

    def derive(new: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        for name in new:
            pairs = list(zip(by_name[name].shards, by_name[name].parts, strict=True))
            tables = map_threads(lambda pair: listing(lake, *pair), pairs)
            rows = (row for table in tables for row in table.to_pylist())
            yield name, pa.table({"digest": [digest(row["uri"], row["etag"]) for row in rows]}, schema=_SEEN)

    return View(lake.store, "seen", _SEEN).rows(dict.fromkeys(by_name, ""), derive)["digest"]


def _marker(name: str) -> str:
    return f"images/intake={name}/_LISTED"
