"""Damage is noticed in every format, also behind an intact end, and named by what it is."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.jxl import in_boxes
from support.photo_files import rle8_bmp, saved, scene

PHOTO = scene().resize((400, 320), Image.Resampling.BICUBIC)
TRUNCATED, BROKEN, UNSUPPORTED = RejectReason.TRUNCATED, RejectReason.BROKEN, RejectReason.UNSUPPORTED_FORMAT


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


HEADER = next(chunks_of(saved(PHOTO, "PNG")))
PACKED = b"".join(body for name, body in chunks_of(saved(PHOTO, "PNG")) if name == b"IDAT")
END = (b"IEND", b"")
BMP = saved(PHOTO, "BMP")


def half_webp(**options: bool) -> bytes:
    """Return a WebP of which half the data are missing, while all lengths agree."""
    data = saved(PHOTO, "WEBP", **options)
    body = data[20 : 20 + (len(data) - 20) // 4 * 2]
    return b"RIFF" + struct.pack("<I", len(body) + 12) + data[8:16] + struct.pack("<I", len(body)) + body


def half_gif() -> bytes:
    """Return a GIF of which half the blocks of data are missing, with its end in place."""
    data = saved(PHOTO.quantize(64), "GIF")
    with Image.open(io.BytesIO(data)) as opened:
        start = opened.tile[0].offset  # of the first block
    ends, at = [], start
    while data[at]:
        at += 1 + data[at]
        ends.append(at)
    return data[: ends[len(ends) // 2]] + b"\0;"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(HEADER, (b"IDAT", PACKED[: len(PACKED) // 2]), END), TRUNCATED),
        (png(HEADER, END), BROKEN),
        (png(HEADER, (b"IDAT", PACKED[:1000] + bytes(5000) + PACKED[6000:]), END), BROKEN),
        (saved(PHOTO, "PNG").replace(PACKED[500:510], bytes(10)), BROKEN),
        (half_webp(), BROKEN),
        (half_webp(lossless=True), BROKEN),
        (half_gif(), TRUNCATED),
        (BMP[: len(BMP) // 2], TRUNCATED),
        (rle8_bmp()[: 14 + 40 + 1024 + 64] + b"\0\1", TRUNCATED),
        (saved(PHOTO, "AVIF")[:3000], TRUNCATED),
        (saved(PHOTO, "HEIF")[:3000], TRUNCATED),
        (saved(PHOTO, "JXL")[:12], TRUNCATED),
        (saved(PHOTO, "JXL")[:3000], BROKEN),
        (in_boxes(saved(PHOTO, "JXL"), 1)[:3000], TRUNCATED),
    ],
)
def test_missing_data_are_noticed(data: bytes, reason: RejectReason) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, Limits())
    assert caught.value.reason == reason
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (BMP[:28] + struct.pack("<H", 64) + BMP[30:], "64"),
        (BMP[:30] + struct.pack("<I", 4) + BMP[34:], "compression"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(200), "format"),
        (b"IIRO\x08\0\0\0" + bytes(200), "format"),
        (b"\0\0\0\x18ftypcrx " + bytes(200), "format"),
    ],
)
def test_what_is_not_read_is_told_by_name(data: bytes, told: str) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, Limits())
    assert caught.value.reason == UNSUPPORTED
    assert told in caught.value.detail


def test_a_12_bit_jpeg_is_not_called_broken() -> None:
    data = bytearray(saved(PHOTO, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(ImageRejectedError) as caught:
        normalise(bytes(data), Limits())
    assert caught.value.reason == UNSUPPORTED


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((64, 12_800), None),
        ((12_800, 64), None),
        ((64, 12_801), RejectReason.TOO_ELONGATED),
        ((12_801, 64), RejectReason.TOO_ELONGATED),
        ((64, 20_000), RejectReason.TOO_ELONGATED),
        ((63, 20_000), RejectReason.TOO_SMALL),
        ((64, 2_000_000), RejectReason.TOO_MANY_PIXELS),
    ],
)
def test_sizes_and_shapes(size: tuple[int, int], reason: RejectReason | None) -> None:
    if reason is None:
        Limits().check_size(*size)
        return
    with pytest.raises(ImageRejectedError) as caught:
        Limits().check_size(*size)
    assert caught.value.reason == reason
