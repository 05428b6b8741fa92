"""Looks at the checksums of a PNG before its pixels are decoded: Pillow does not check those of the last data."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from hopchain_etl.imaging.rejection import ImageRejectedError, RejectReason

_START = 8  # bytes of the signature
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")  # what the pixels are made of


def check_png(data: bytes) -> None:
    """Raise ImageRejectedError if a chunk that the pixels are made of is cut or does not fit its checksum.

    Pillow stops as soon as all rows are filled, and what was overwritten often still unpacks to enough bytes.
    """
    for name, chunk, length in _chunks(data):
        if name not in _PICTURE:
            continue
        if len(chunk) < length:
            raise ImageRejectedError(RejectReason.TRUNCATED, f"the file ends inside a chunk {name.decode()}")
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ImageRejectedError(RejectReason.BROKEN, f"wrong checksum of a chunk {name.decode()}")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Yield the name of each chunk up to IEND, the chunk as far as the file goes, and how many bytes it should have."""
    at, name, view = _START, b"", memoryview(data)  # a view, as a copy of a large file takes time
    while at + 8 <= len(data) and name != b"IEND":
        length, name = 12 + int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        yield name, view[at : at + length], length
        at += length
