"""ImageIndex: finds duplicates and near-duplicates of a new photo among all photos of the lake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

COLUMNS = ["image_id", "blob_sha", "uri", "phash", "group"]


class ImageIndex:
    """Images by content and by perceptual hash.

    ``below`` is a larger index that is only read: what is added here is kept apart from it. Results do not depend on
    the insertion order. A lookup compares with every hash (2 ms for a million).
    """

    def __init__(self, distance: int, below: ImageIndex | None = None) -> None:
        self._distance = distance
        self._below = below
        self._uris: dict[str, str] = {}  # by image_id and by blob_sha
        self._groups: dict[str, int] = {}
        self._names: list[str] = []  # of groups, by number
        self._size = 0
        self._hashes = np.empty(64, np.uint64)
        self._codes = np.empty(64, np.int64)  # each hash's group number

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of the images table; an already known image is ignored."""
        image, blob, uri, phash, group = (row[column] for column in COLUMNS)
        if image in self._uris:
            return
        self._uris[image] = uri
        self._uris.setdefault(blob, uri)
        if group not in self._groups:
            self._groups[group] = len(self._names)
            self._names.append(group)
        if self._size == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._codes = np.concatenate([self._codes, np.empty_like(self._codes)])
        self._hashes[self._size] = int(phash, 16)
        self._codes[self._size] = self._groups[group]
        self._size += 1

    def extend(self, rows: pa.Table) -> None:
        """Add every row of a table that has ``COLUMNS``."""
        for row in rows.select(COLUMNS).to_pylist():
            self.add(row)

    def find_duplicate(self, *shas: str) -> str | None:
        """Return the uri of the image with the first known sha256 (of source bytes or blob), or None."""
        layers = list(self._layers())
        return next((layer._uris[sha] for sha in shas for layer in layers if sha in layer._uris), None)

    def assign_group(self, image_id: str, phash: str) -> tuple[str, list[str]]:
        """Return the near-duplicate group of a new image, and the other groups within the distance, sorted.

        The group is that of the nearest image within ``distance`` bits (on a tie, the group that sorts first, so that
        the order does not matter), or a new one named ``image_id``.
        """
        nearest: dict[str, int] = {}
        for layer in self._layers():
            for group, bits in layer._within(int(phash, 16)):
                nearest[group] = min(bits, nearest.get(group, bits))
        if not nearest:
            return image_id, []
        group = min(nearest, key=lambda name: (nearest[name], name))
        return group, sorted(nearest.keys() - {group})

    def _layers(self) -> Iterator[ImageIndex]:
        if self._below:
            yield from self._below._layers()
        yield self

    def _within(self, phash: int) -> Iterable[tuple[str, int]]:
        """Return the groups within reach, each with the distance of its nearest image, in bits."""
        bits = np.bitwise_count(self._hashes[: self._size] ^ np.uint64(phash))
        hits = np.flatnonzero(bits <= self._distance)
        # Thousands of blank images can share one hash; aggregate them by group instead of looping over each.
        codes, which = np.unique(self._codes[hits], return_inverse=True)
        nearest = np.full(len(codes), 64)
        np.minimum.at(nearest, which, bits[hits])
        return [(self._names[code], int(bits)) for code, bits in zip(codes, nearest, strict=True)]
