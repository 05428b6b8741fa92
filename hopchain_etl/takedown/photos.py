"""Finds photos to take down, and reads and writes their tombstones.

A tombstone is ``withdrawn/<image_id>.json``: image_id, blob_sha, reason, and ``erased``. That of an erase also has
``uris`` (sha256 of where the photo was read, so that it is still found by its URI), ``seen`` (what ingest compares, so
that it is not taken in again) and ``shards``. Until an erase is finished, ``erasing/<image_id>.json`` is its plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import partial, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.spelling import spellings
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.lake.shards import LakeError, Marker, Shard
from hopchain_etl.stages.listing import seen_hash

JSON = dict[str, Any]
Source = tuple[str, str]  # uri and etag
COPY_OF = "same picture as "  # what ingest says of a duplicate, before the uri
_SEARCHED = ["image_id", "blob_sha", "uri", "etag", "group", "near"]
# What reading a damaged shard raises, and not only a store that does not answer.
DAMAGE = (MissingObjectError, LakeError, ValueError, OSError)
_NO_SETS = ("fresh", "remains", "blob_of")


@dataclass
class Names:
    """What names some photos in the lake: the photos themselves, where they were read, and their questions."""

    images: set[str] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)
    sources: set[Source] = field(default_factory=set)
    queries: set[str] = field(default_factory=set)

    def rows_of(self, rows: pa.Table) -> pa.Array:
        """Return which rows of a lake table are about the photos."""
        column, names = ("image_id", self.images) if "image_id" in rows.column_names else ("query_id", self.queries)
        return pc.is_in(rows[column], value_set=strings(names))

    def rejects_of(self, rejects: pa.Table) -> pa.ChunkedArray:
        """Return which rejects are about the photos: also copies of them, which say whose copies they are."""
        hit = self.listed(rejects)
        ids = sorted({*self.images, *self.queries})
        for name in ("input_id", "image_id", "uri", "detail", "payload"):
            for one in ids:
                hit = pc.or_(hit, _is(pc.match_substring(rejects[name], one)))
        for uri, _ in sorted(self.sources):
            hit = pc.or_(hit, _is(pc.ends_with(rejects["detail"], uri)))
            for written in {json.dumps(uri), json.dumps(uri, ensure_ascii=False)}:  # labels escape, stages do not
                hit = pc.or_(hit, _is(pc.match_substring(rejects["payload"], written)))
        return hit

    def listed(self, rows: pa.Table) -> pa.ChunkedArray:
        """Return which rows with uri and etag are of the photos' sources: another version of the file is another."""
        both = pc.binary_join_element_wise(rows["uri"], rows["etag"], "\n")
        return _is(pc.is_in(both, value_set=strings("\n".join(source) for source in self.sources)))


@dataclass
class Plan(Names):
    """What an erase removes and what of it remains to be done.

    It is stored before anything is deleted, because it cannot be found any more afterwards. ``grouped`` are
    shards whose photos name one of the photos as their near-duplicate group, ``fresh`` the digests of inputs of shards
    that were up to date, by ``table fingerprint shard``, ``blob_of`` the blob of each photo that has or had a row.
    """

    shards: set[str] = field(default_factory=set)
    grouped: set[str] = field(default_factory=set)
    batches: set[str] = field(default_factory=set)
    fresh: dict[str, str] = field(default_factory=dict)
    remains: list[str] = field(default_factory=list)
    blob_of: dict[str, str] = field(default_factory=dict)

    def blob(self, image: str) -> str | None:
        """Return the blob of a photo. A copy has none of its own: any of the photos it was found with says as much."""
        return self.blob_of.get(image) or min(self.blobs, default=None)

    def to_json(self) -> JSON:
        """Return the plan as it is stored."""
        return {name: sorted(value) if isinstance(value, set) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, stored: JSON) -> Plan:
        """Return a stored plan."""
        sets = {one.name: set(stored[one.name]) for one in fields(cls) if one.name not in ("sources", *_NO_SETS)}
        plan = cls(sources=set(map(tuple, stored["sources"])), fresh=stored["fresh"], remains=stored["remains"])
        vars(plan).update(sets, blob_of=stored.get("blob_of", {}))  # earlier versions stored none
        return plan

    def unite(self, other: Plan) -> None:
        """Add what another plan has."""
        for one in fields(self):
            if one.name not in _NO_SETS:
                getattr(self, one.name).update(getattr(other, one.name))
        self.fresh |= other.fresh
        self.blob_of |= other.blob_of
        self.remains += [step for step in other.remains if step not in self.remains]


def find(lake: Lake, photo: str) -> Plan:
    """Return the photo with this image_id or uri, all others with identical normalised bytes, and where they are.

    Photos that are erased, or half erased, are found as long as they have a tombstone. A shard that cannot be read is
    among the shards, because it may have them too. A uri is looked for in its other spellings if there is none as it is
    written. Raises LakeError if there is no such photo.
    """
    stones, markers = lake.tombstones(), lake.markers("images")
    for spelled in spellings(photo):
        found = _find(lake, spelled, stones, markers)
        if found.images:
            break
    else:
        unread = f" (not readable: {', '.join(sorted(found.shards))})" if found.shards else ""
        raise LakeError(f"no photo {photo!r} in {lake.store.uri('images/')}{unread}; give an image_id or a uri")
    for image in found.images & stones.keys():
        stone = stones[image]
        found.shards |= set(stone.get("shards", ()))
        if stone["erased"] and "shards" not in stone:  # by an earlier version: it may be anywhere
            found.shards |= set(map(str, markers))
    for plan in map_threads(lake.get_json, map(_plan_key, sorted(found.images))):
        if plan is not None:
            found.unite(Plan.from_json(plan))
    return found


def _find(lake: Lake, photo: str, stones: Mapping[str, JSON], markers: Mapping[Shard, Marker]) -> Plan:
    """Return what tombstones and images say of the photo with exactly this image_id or uri; empty if nothing."""
    hashed, wanted = hash_of(photo), {photo}
    found = Plan(images={one for one, stone in stones.items() if photo == one or hashed in stone.get("uris", ())})
    while True:  # what is found names more: the blob its twins, the uri its copies
        of_same = [stone for one, stone in stones.items() if one in found.images or stone["blob_sha"] in found.blobs]
        found.images |= {stone["image_id"] for stone in of_same}
        found.blobs |= {stone["blob_sha"] for stone in of_same if stone["blob_sha"]}
        before = deepcopy((found, wanted))
        for each in map_threads(partial(_Search, lake, *before), markers.items()):
            found.unite(each.found)
            wanted |= each.wanted
        if (found, wanted) == before:
            return found


class _Search:
    """What a shard of the images table has of the photos known so far; ``wanted`` are image_ids and uris."""

    def __init__(self, lake: Lake, known: Names, wanted: set[str], place: tuple[Shard, Marker]) -> None:
        self.found, self.wanted = Plan(), set(wanted)
        shard, marker = place
        folder = lake.folder("images", None, shard)
        try:
            self._rows(lake.parts(folder, marker.parts, schemas.IMAGES, _SEARCHED), known, shard)
            self._copies(lake.parts(folder, marker.rejects, schemas.REJECTS), known, shard)
        except DAMAGE:
            self.found.shards.add(str(shard))

    def _rows(self, rows: pa.Table, known: Names, shard: Shard) -> None:
        images, wanted = strings(known.images), strings(self.wanted)
        hits = [pc.is_in(rows[name], wanted) for name in ("image_id", "uri")]
        hits += [pc.is_in(rows["image_id"], images), pc.is_in(rows["blob_sha"], strings(known.blobs))]
        for row in rows.filter(reduce(pc.or_, hits)).to_pylist():
            self.found.images.add(row["image_id"])
            self.found.blobs.add(row["blob_sha"])
            self.found.blob_of[row["image_id"]] = row["blob_sha"]
            self.found.sources.add((row["uri"], row["etag"]))
            self.found.shards.add(str(shard))
        groups = (rows["group"], pc.list_flatten(rows["near"]))
        if any(pc.any(pc.is_in(names, images)).as_py() for names in groups):
            self.found.grouped.add(str(shard))

    def _copies(self, rejects: pa.Table, known: Names, shard: Shard) -> None:
        """Find copies, which ingest refused: of the same bytes, or of others with the same pixels."""
        hits = pc.or_(known.rejects_of(rejects), pc.fill_null(pc.is_in(rejects["uri"], strings(self.wanted)), False))
        for row in rejects.filter(hits).to_pylist():
            payload = json.loads(row["payload"] or "null")
            image = row["image_id"] or (payload.get("image_id") if isinstance(payload, dict) else None)
            if row["stage"] == "ingest" and image:
                self.found.images.add(image)
                self.found.sources.add((row["uri"], row["etag"]))
                self.found.shards.add(str(shard))
                self.wanted |= {row["detail"].removeprefix(COPY_OF)} if row["detail"].startswith(COPY_OF) else set()


def withdraw(lake: Lake, photo: str, reason: str) -> list[str]:
    """Write the tombstone of a photo (image_id or uri); return the image_ids that all readers now exclude."""
    require_known_format(lake)
    found = find(lake, photo)
    for image in sorted(found.images):
        lake.write_tombstone(image, reason=reason, blob_sha=found.blob(image))
    return sorted(found.images)


def write_tombstones(lake: Lake, plan: Plan, reason: str) -> None:
    """Write the tombstones of an erase: of a finished one if nothing of the plan remains."""
    for image in sorted(plan.images):
        key = f"withdrawn/{image}.json"
        held = lake.get_json(key) or {}
        stone: JSON = {
            "image_id": image,
            "blob_sha": plan.blob_of.get(image) or held.get("blob_sha") or plan.blob(image),
            "reason": held["reason"] if "uris" in held else reason,
            "erased": not plan.remains,
            "uris": sorted({*held.get("uris", ()), *(hash_of(uri) for uri, _ in plan.sources)}),
            "seen": sorted({*held.get("seen", ()), *(seen_hash(*source) for source in plan.sources)}),
            "shards": sorted({*held.get("shards", ()), *plan.shards}),
        }
        if stone != held:
            lake.write_tombstone(image, reason=reason, blob_sha=stone["blob_sha"])
            lake.store.put(key, json.dumps(stone, sort_keys=True).encode())


def write_plan(lake: Lake, plan: Plan) -> None:
    """Store what remains of a plan; delete it if nothing does. All its versions name what is to be forgotten."""
    keys = [_plan_key(image) for image in sorted(plan.images)]
    for key in keys if plan.remains else ():
        lake.put_json(key, plan.to_json())
    lake.store.erase(keys, keep_current=bool(plan.remains))


def unfinished(lake: Lake) -> dict[str, list[str]]:
    """Return the photos whose erase is not finished, each with what remains."""
    keys = [entry.key for entry in lake.store.list_objects("erasing/")]
    plans = zip(keys, map_threads(lake.get_json, keys), strict=True)
    return {key.split("/")[1].removesuffix(".json"): plan["remains"] for key, plan in plans if plan}


def _plan_key(image: str) -> str:
    return f"erasing/{image}.json"


def hash_of(uri: str) -> str:
    """Return how a tombstone names a URI: its sha256 in hex."""
    return hashlib.sha256(uri.encode()).hexdigest()


def strings(values: Iterable[str]) -> pa.Array:
    """Return strings as an Arrow array."""
    return pa.array(sorted(values), pa.string())


def _is(mask: Any) -> Any:
    return pc.fill_null(mask, False)
