"""Keys of queries: 16 bytes each instead of a text, in sorted columns that are searched together, shard by shard."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Keys = NDArray[np.bytes_]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
_SIZE = 16  # bytes: two different ids have one key with a probability below 2 ** -80 in a set of 10 million


def keys_of(query_ids: Iterable[str]) -> Keys:
    """Return the keys of ids, in their order."""
    digests = (hashlib.blake2b(name.encode(), digest_size=_SIZE).digest() for name in query_ids)
    return as_keys(b"".join(digests))


def as_keys(data: bytes | bytearray) -> Keys:
    """Return keys that are stored one after the other."""
    return np.frombuffer(data, f"S{_SIZE}") if data else np.empty(0, f"S{_SIZE}")


def keys_in(column: pa.ChunkedArray) -> Keys:
    """Return the keys in a column of fixed-size binary values, without nulls."""
    return as_keys(b"".join(map(_bytes, column.chunks)))


def _bytes(chunk: pa.Array) -> bytes:
    start = chunk.offset * _SIZE
    return bytes(chunk.buffers()[1][start : start + len(chunk) * _SIZE]) if len(chunk) else b""


def starts_of(keys: Keys) -> Mask:
    """Return which of sorted keys differ from the one before."""
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    return first


def find(keys: Keys, sought: Keys) -> Places:
    """Return the place of each sought key among sorted ``keys``, which are all different; -1 if it is not there."""
    if not len(keys):
        return np.full(len(sought), -1, np.int64)
    places = np.searchsorted(keys, sought)
    found = keys[np.minimum(places, len(keys) - 1)] == sought
    return np.where(found, places, -1)
