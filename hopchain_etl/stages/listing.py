"""Intakes: which objects of the source were first seen together, kept in the lake until the end of time.

``images/intake=<name>/_LISTED`` names one listing (``records.LISTING``) for each shard with its sha256, and is written
last: a listing that was cut off is not there. What is in a listing has been seen; it never becomes new again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from hopchain_etl import records
from hopchain_etl.lake import Lake, Marker, Part, Shard
from hopchain_etl.settings import IngestSettings
from hopchain_etl.store import ObjectStore

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Intake:
    """One stored listing. ``order`` counts intakes; ``listed`` objects were in the source, ``new`` are in here."""

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
    names = [folder.removeprefix("intake=") for folder in lake.store.folders("images/") if folder.startswith("intake=")]
    stored = together(lambda name: (name, lake.get_json(_marker(name))), names)
    return sorted((_intake(name, value) for name, value in stored if value), key=lambda intake: intake.order)


def listing(lake: Lake, shard: Shard) -> pa.Table:
    """Return the listing of one shard (records.LISTING), in key order; raise KeyError where there is none."""
    intake = _intake(shard.intake, json.loads(lake.store.get(_marker(shard.intake))))
    return _listing(lake, shard, intake.parts[shard.index])


def list_intake(lake: Lake, source: ObjectStore, settings: IngestSettings, name: str, before: list[Intake]) -> Intake:
    """List the source and store what no intake in ``before`` has seen as intake ``name``; return it.

    Seen means the same uri and etag. Where nothing is new, nothing is stored and the intake has no shards.
    """
    seen = _seen(lake, before)
    listed, found = 0, []
    skipped = _skipped(lake, source)
    for entry in source.entries():
        uri = source.uri(entry.key)
        if (entry.key.endswith("/") and not entry.size) or (skipped and uri.startswith(skipped)):
            continue  # a folder as some tools make them, or the lake itself
        listed += 1
        if (uri, entry.etag) not in seen:
            found.append((uri, entry.etag, entry.size))
    found = sorted(found)[: settings.limit]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*found, strict=True), records.LISTING)]
    rows = pa.Table.from_arrays(columns, schema=records.LISTING) if found else records.LISTING.empty_table()
    cuts = range(0, rows.num_rows, settings.shard_size)
    parts = tuple(
        lake.write_part(lake.folder("images", None, Shard(name, index)), "listing", rows.slice(at, settings.shard_size))
        for index, at in enumerate(cuts)
    )
    intake = Intake(name, max((old.order for old in before), default=0) + 1, listed, len(found), parts)
    if not parts:
        return intake
    value = {"order": intake.order, "listed": listed, "new": intake.new, "shards": [vars(part) for part in parts]}
    if not lake.store.put_new(_marker(name), json.dumps(value, sort_keys=True, indent=1).encode()):
        return _intake(name, lake.get_json(_marker(name)))  # somebody whose lock we outlived was first
    return intake


def markers(lake: Lake, shards: Iterable[Shard]) -> dict[Shard, Marker | None]:
    """Return the images marker of each shard, None where it is not complete."""
    return dict(together(lambda shard: (shard, lake.marker("images", None, shard)), shards))


def together(work: Callable[[T], U], items: Iterable[T]) -> list[U]:
    """Return ``work`` of each item, in order, 16 at a time: for many small requests."""
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(work, items))


def _seen(lake: Lake, before: list[Intake]) -> set[tuple[str, str]]:
    shards = [(shard, part) for intake in before for shard, part in zip(intake.shards, intake.parts, strict=True)]
    tables = together(lambda pair: _listing(lake, *pair), shards)
    return {pair for table in tables for pair in zip(*(table[c].to_pylist() for c in ("uri", "etag")), strict=True)}


def _skipped(lake: Lake, source: ObjectStore) -> str | None:
    """Return where the lake lies inside the source, so that its blobs are not taken for photos."""
    ours = lake.store.uri("")
    same_server = lake.settings.endpoint_url == source.settings.endpoint_url
    return ours if same_server and ours.startswith(source.uri("")) else None


def _listing(lake: Lake, shard: Shard, part: Part) -> pa.Table:
    return lake.parts(lake.folder("images", None, shard), [part], records.LISTING)


def _marker(name: str) -> str:
    return f"images/intake={name}/_LISTED"


def _intake(name: str, value: Any) -> Intake:
    parts = tuple(Part(**part) for part in value["shards"])
    return Intake(name, value["order"], value["listed"], value["new"], parts)
