"""ImageIndex: finds duplicates and near-duplicates of a new photo among all photos of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

COLUMNS = ["image_id", "blob_sha", "uri", "phash", "group"]

_SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
_LEAST_PACKED = 4_096  # images: fewer are not worth sorting
_BANDS = 4  # parts of 16 bits that a perceptual hash is divided into
_MOST_FLIPS = 2  # with more differing bits in a part, comparing with every hash is as fast

Hits = list[tuple[str, int]]  # groups within reach, each with the distance of its nearest image, in bits


class ImageIndex:
    """Images by content and by perceptual hash.

    ``below`` is a larger index that is only read: what is added here is kept apart from it. Results do not depend on
    the insertion order.
    """

    def __init__(self, distance: int, below: ImageIndex | None = None) -> None:
        self._distance = distance
        self._below = below
        self._packed = _Packed(_SCHEMA.empty_table(), distance)
        self._recent = _Recent(distance)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of the images table; an already known image is ignored."""
        if self._own_uri(row["image_id"]) is None:
            self._recent.add(row)
            if len(self._recent.rows) > max(_LEAST_PACKED, self._packed.rows.num_rows // 4):
                self._pack(_SCHEMA.empty_table())

    def extend(self, rows: pa.Table) -> None:
        """Add every row of a table that has ``COLUMNS``."""
        if rows.num_rows < _LEAST_PACKED:
            for row in rows.select(COLUMNS).to_pylist():
                self.add(row)
        else:
            self._pack(rows.select(COLUMNS).cast(_SCHEMA))

    def find_duplicate(self, *shas: str) -> str | None:
        """Return the uri of the image with the first known sha256 (of source bytes or blob), or None."""
        layers = list(self._layers())
        found = (layer._own_uri(sha) for sha in shas for layer in layers)
        return next((uri for uri in found if uri is not None), None)

    def assign_group(self, image_id: str, phash: str) -> tuple[str, list[str]]:
        """Return the near-duplicate group of a new image, and the other groups within the distance, sorted.

        The group is that of the nearest image within ``distance`` bits (on a tie, the group that sorts first, so that
        the order does not matter), or a new one named ``image_id``.
        """
        nearest: dict[str, int] = {}
        for layer in self._layers():
            for group, bits in (*layer._packed.within(int(phash, 16)), *layer._recent.within(int(phash, 16))):
                nearest[group] = min(bits, nearest.get(group, bits))
        if not nearest:
            return image_id, []
        group = min(nearest, key=lambda name: (nearest[name], name))
        return group, sorted(nearest.keys() - {group})

    def _layers(self) -> Iterator[ImageIndex]:
        if self._below:
            yield from self._below._layers()
        yield self

    def _own_uri(self, sha: str) -> str | None:
        return self._packed.uri(sha) or self._recent.uris.get(sha)

    def _pack(self, more: pa.Table) -> None:
        """Sort all images of this layer anew; seldom, since the sorted part grows by a quarter each time."""
        recent = pa.Table.from_pylist(self._recent.rows, schema=_SCHEMA)
        rows = pa.concat_tables([self._packed.rows, recent, more]).combine_chunks()
        self._packed, self._recent = _Packed(rows, self._distance), _Recent(self._distance)


class _Recent:
    """A few images, compared one by one."""

    def __init__(self, distance: int) -> None:
        self._distance = distance
        self.rows: list[Mapping[str, Any]] = []
        self.uris: dict[str, str] = {}  # by image_id and by blob_sha
        self._groups: dict[str, int] = {}
        self._hashes = np.empty(64, np.uint64)
        self._codes = np.empty(64, np.int64)  # each hash's group number

    def add(self, row: Mapping[str, Any]) -> None:
        size = len(self.rows)
        if size == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._codes = np.concatenate([self._codes, np.empty_like(self._codes)])
        self._hashes[size] = int(row["phash"], 16)
        self._codes[size] = self._groups.setdefault(row["group"], len(self._groups))
        self.uris.setdefault(row["image_id"], row["uri"])
        self.uris.setdefault(row["blob_sha"], row["uri"])
        self.rows.append({name: row[name] for name in COLUMNS})

    def within(self, phash: int) -> Hits:
        """Return the groups within reach."""
        bits = np.bitwise_count(self._hashes[: len(self.rows)] ^ np.uint64(phash))
        hits = np.flatnonzero(bits <= self._distance)
        return _nearest(self._codes[hits], bits[hits], list(self._groups))


class _Packed:
    """Many images in sorted arrays, found without comparing with each.

    Two hashes within ``distance`` bits differ by at most ``distance // 4`` bits in one of their four parts (pigeonhole
    principle), so only images that share such a part are compared: one in several hundred.
    """

    def __init__(self, rows: pa.Table, distance: int) -> None:
        self.rows = rows
        self._distance = distance
        keys = np.concatenate([_keys(rows[name].to_pylist()) for name in ("image_id", "blob_sha")])
        order = np.argsort(keys, kind="stable")  # the first of several images with one blob stays the first
        self._keys, self._place = keys[order], (order % max(rows.num_rows, 1)).astype(np.int32)
        groups = rows["group"].combine_chunks().dictionary_encode()
        self._names, self._codes = groups.dictionary, groups.indices.to_numpy()
        self._hashes = np.frombuffer(bytes.fromhex("".join(rows["phash"].to_pylist())), ">u8").astype(np.uint64)
        flips = distance // _BANDS
        self._flips = _flips(flips) if flips <= _MOST_FLIPS else None
        self._bands = [] if self._flips is None else [self._band(number) for number in range(_BANDS)]

    def uri(self, sha: str) -> str | None:
        """Return the uri of the first image with this sha256 of source bytes or blob."""
        if not self.rows.num_rows:
            return None
        (key,) = _keys([sha])
        first, end = np.searchsorted(self._keys, key), np.searchsorted(self._keys, key, "right")
        for place in sorted(self._place[first:end].tolist()):
            if sha in (self.rows["image_id"][place].as_py(), self.rows["blob_sha"][place].as_py()):
                return str(self.rows["uri"][place].as_py())
        return None

    def within(self, phash: int) -> Hits:
        """Return the groups within reach."""
        if not self.rows.num_rows:
            return []
        places = self._candidates(phash)
        bits = np.bitwise_count(self._hashes[places] ^ np.uint64(phash))
        hits = bits <= self._distance
        return _nearest(self._codes[places][hits], bits[hits], self._names)

    def _band(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one part of all hashes in order, and the images in that order."""
        parts = _part(self._hashes, number)
        order = np.argsort(parts, kind="stable").astype(np.int32)
        return parts[order], order

    def _candidates(self, phash: int) -> np.ndarray | slice:
        if self._flips is None:
            return slice(None)
        found = []
        for number, (parts, order) in enumerate(self._bands):
            probes = _part(np.array([phash], np.uint64), number) ^ self._flips
            starts, ends = np.searchsorted(parts, probes), np.searchsorted(parts, probes, "right")
            found += [order[start:end] for start, end in zip(starts, ends, strict=True) if end > start]
        return np.concatenate(found) if found else np.empty(0, np.int32)


def _nearest(codes: np.ndarray, bits: np.ndarray, names: Sequence[Any]) -> Hits:
    """Return each group among ``codes`` with its least ``bits``. Thousands of blank images can share one hash."""
    groups, which = np.unique(codes, return_inverse=True)
    nearest = np.full(len(groups), 64)
    np.minimum.at(nearest, which, bits)
    return [(str(names[code]), int(least)) for code, least in zip(groups, nearest, strict=True)]


def _part(hashes: np.ndarray, number: int) -> np.ndarray:
    """Return the 16 bits of a part of each hash."""
    return (hashes >> np.uint64(16 * number)).astype(np.uint16)


def _flips(most: int) -> np.ndarray:
    """Return every mask of 16 bits with at most ``most`` of them set."""
    masks = [sum(1 << bit for bit in bits) for count in range(most + 1) for bits in combinations(range(16), count)]
    return np.array(masks, np.uint16)


def _keys(shas: Sequence[str]) -> np.ndarray:
    """Return a number for each sha256, made of its first 16 digits; two may have the same."""
    digits = np.array(shas, "S16").view(np.uint64).reshape(-1, 2)
    keys: np.ndarray = digits[:, 0] * np.uint64(0x9E3779B97F4A7C15) + digits[:, 1]
    return keys
