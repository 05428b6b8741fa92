"""Manifest: the complete shards of one table under one fingerprint, known from two or three requests.

Markers (``_SUCCESS``) are the truth. A manifest repeats them below ``manifests/<table>/<fingerprint>/``:

- ``base-<n>.json.gz`` holds all markers that have been folded in. The next base is written only if its number is free
  (compare-and-swap), so two writers cannot undo each other.
- ``new/<intake>.<shard>-<hash>.json`` is one marker that is in no base yet; it is written right after the marker.

A kill between the two leaves a shard that looks unfinished: it is planned again, found complete, and recorded then.
Where two entries contradict each other, the marker itself is read. A table without a base is listed as a whole, which
is how lakes of earlier versions are read; ``hopchain repair`` writes every base anew from the markers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo, ObjectStore
from hopchain_etl.lake.shards import LakeError, Marker, Shard

FOLD_AT = 32  # entries outside the base from which on a writer folds them in
_PAGE = 1_000  # objects that S3 lists at once
_TRIES = 5  # a reader whose objects are folded away while it reads starts again
_BASE = re.compile(r"base-(?P<number>\d{8})\.json\.gz")
_NEW = re.compile(r"new/(?P<intake>.+)\.(?P<index>\d{4,})-(?P<hash>[0-9a-f]{12})\.json")
_MARKER = re.compile(r"intake=(?P<intake>[^/]+)/shard=(?P<index>\d{4,})/_SUCCESS")

Markers = dict[Shard, Marker]


@dataclass(frozen=True)
class _Listing:
    """The objects of a manifest: the newest base, older ones, and the entries outside a base, by shard."""

    number: int  # of the newest base; 0: there is none
    bases: Mapping[int, ObjectInfo]
    pages: int  # that the listing may have had
    new: Mapping[Shard, tuple[str, ...]]

    @property
    def base(self) -> tuple[int, str]:
        """Number and ETag of the newest base: a table that was dropped and built again starts at the same number."""
        return self.number, self.bases[self.number].etag if self.number else ""

    @property
    def new_keys(self) -> list[str]:
        """The keys of all entries outside a base."""
        return [key for keys in self.new.values() for key in keys]


class Manifest:
    """The manifest at ``folder``, for the shards below ``table``; both are key prefixes that end with a slash."""

    def __init__(self, store: ObjectStore, folder: str, table: str) -> None:
        self._store = store
        self._folder = folder
        self._table = table
        # What was read last, under the names of its objects, which never change.
        self._held: tuple[tuple[int, str], Markers] = ((0, ""), {})
        self._held_merged: tuple[tuple[int, str, tuple[str, ...]], Markers] = ((0, "", ()), {})
        self._one_reader = threading.Lock()  # the others wait for what it reads

    def read(self) -> Markers:
        """Return the marker of every complete shard, in the order of the shards. Writes nothing."""
        return self._read()[1]

    def record(self, shard: Shard, marker: Marker) -> None:
        """Add a marker that has just been written, or is about to replace another."""
        digest = hashlib.sha256(marker.to_json()).hexdigest()[:12]
        self._store.put(f"{self._folder}new/{shard.intake}.{shard.index:04d}-{digest}.json", marker.to_json())

    def fold(self, at_least: int = 1) -> None:
        """Write the next base if there are ``at_least`` entries outside the newest one, or if there is none yet."""
        listing, markers = self._read()
        if len(listing.new_keys) >= at_least or (markers and not listing.number):
            self._write(listing, markers)

    def rebuild(self) -> int:
        """Write the base anew from the markers themselves; return their number."""
        for _ in range(_TRIES):
            listing = self._list()
            markers = self._from_markers()
            if self._write(listing, markers):
                return len(markers)
        raise LakeError(f"{self._store.uri(self._folder)} changes too often to be rebuilt; try again")

    def drop(self) -> None:
        """Delete the manifest; do this before the markers are deleted."""
        self._store.delete([entry.key for entry in self._store.list_objects(self._folder)])
        self._held, self._held_merged = ((0, ""), {}), ((0, "", ()), {})

    def _list(self) -> _Listing:
        bases: dict[int, ObjectInfo] = {}
        new: defaultdict[Shard, list[str]] = defaultdict(list)
        for entry in self._store.list_objects(self._folder):
            name = entry.key.removeprefix(self._folder)
            if match := _BASE.fullmatch(name):
                bases[int(match["number"])] = entry
            elif match := _NEW.fullmatch(name):
                new[Shard(match["intake"], int(match["index"]))].append(entry.key)
        number = max(bases, default=0)
        pages = 1 + (len(bases) + sum(map(len, new.values()))) // _PAGE
        return _Listing(number, bases, pages, {shard: tuple(keys) for shard, keys in new.items()})

    def _read(self) -> tuple[_Listing, Markers]:
        for _ in range(_TRIES):
            listing = self._list()
            if not listing.number:
                return listing, self._from_markers()
            try:
                merged = self._merged(listing)
            except MissingObjectError:
                continue  # folded since the listing
            # A fold between two pages of the listing could hide entries without anything missing.
            if listing.pages == 1 or self._list().base == listing.base:
                return listing, merged
        raise LakeError(f"{self._store.uri(self._folder)} changes too often to be read; try again")

    def _merged(self, listing: _Listing) -> Markers:
        with self._one_reader:
            base = self._base(listing)
            objects = (*listing.base, tuple(listing.new_keys))
            held, merged = self._held_merged
            if not listing.new or held == objects:
                return merged if listing.new else base
            found = map_threads(lambda item: self._recorded(base, *item), listing.new.items())
            added = {shard: marker for shard, (marker, _) in zip(listing.new, found, strict=True) if marker}
            merged = dict(sorted((base | added).items(), key=lambda item: (item[0].intake, item[0].index)))
            if all(agreed for _, agreed in found):
                self._held_merged = objects, merged
            return merged

    def _recorded(self, base: Markers, shard: Shard, keys: Sequence[str]) -> tuple[Marker | None, bool]:
        """Return the valid marker of a shard with entries outside the base, and whether these agree about it."""
        found = [Marker.from_json(self._store.get(key)) for key in keys]
        if shard in base:
            found.append(base[shard])
        agreed = all(one == found[0] for one in found)
        return (found[0] if agreed else self._marker(shard)), agreed

    def _marker(self, shard: Shard) -> Marker | None:
        try:
            return Marker.from_json(self._store.get(f"{self._table}{shard.folder}_SUCCESS"))
        except MissingObjectError:
            return None

    def _base(self, listing: _Listing) -> Markers:
        held, markers = self._held
        if held != listing.base:
            entries = json.loads(gzip.decompress(self._store.get(listing.bases[listing.number].key)))
            markers = {Shard.parse(shard): Marker.from_dict(one) for shard, one in entries.items()}
            self._held = listing.base, markers
        return markers

    def _from_markers(self) -> Markers:
        keys: Iterable[str] = (entry.key for entry in self._store.list_objects(self._table))
        matches = (_MARKER.fullmatch(key.removeprefix(self._table)) for key in keys)
        shards = sorted(Shard(match["intake"], int(match["index"])) for match in matches if match)
        found = zip(shards, map_threads(self._marker, shards), strict=True)
        return {shard: marker for shard, marker in found if marker}

    def _write(self, listing: _Listing, markers: Markers) -> bool:
        """Write the next base; return False if another process has written one."""
        entries = {str(shard): marker.to_dict() for shard, marker in markers.items()}
        data = gzip.compress(json.dumps(entries, sort_keys=True).encode(), 1, mtime=0)
        if not self._store.put_if_absent(f"{self._folder}base-{listing.number + 1:08d}.json.gz", data):
            return False
        self._store.delete([*(base.key for base in listing.bases.values()), *listing.new_keys])
        return True
