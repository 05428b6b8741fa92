"""Digests: a set of millions of 16-byte digests that needs 16 bytes for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa


class Digests:
    """A set of digests that does not change: those of an array, and ``more``."""

    def __init__(self, digests: pa.ChunkedArray, more: Iterable[bytes] = ()) -> None:
        raw = b"".join([*(_bytes(chunk) for chunk in digests.chunks), *more])
        first, second = _halves(raw)
        order = np.argsort(first, kind="stable")
        self._first, self._second = first[order], second[order]

    def contain(self, digests: Sequence[bytes]) -> list[bool]:
        """Return for each digest whether it is in the set."""
        first, second = _halves(b"".join(digests))
        found = np.zeros(len(first), np.bool_)
        place = np.searchsorted(self._first, first)
        while True:  # twice at most, unless two digests have the same first half
            alike = place < len(self._first)
            alike[alike] = self._first[place[alike]] == first[alike]
            if not alike.any():
                return list(found.tolist())
            found[alike] |= self._second[place[alike]] == second[alike]
            place += 1


def _halves(raw: bytes) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.frombuffer(raw, np.uint64)
    return numbers[0::2], numbers[1::2]


def _bytes(chunk: pa.Array) -> bytes:
    start = chunk.offset * 16
    return chunk.buffers()[1].to_pybytes()[start : start + len(chunk) * 16] if len(chunk) else b""
