"""A PNG of which a byte of the picture was lost or changed is never taken for the photo."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.photo_files import every_kind, pixels, scene

RGB = np.asarray(scene().resize((200, 160)))
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


HEAD = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 200, 160, 8, 2, 0, 0, 0))
PACKED = zlib.compress(b"".join(b"\0" + row.tobytes() for row in RGB))
END = chunk(b"IEND", b"")
ONE = HEAD + chunk(b"IDAT", PACKED) + END  # all data in one chunk, as browsers and OpenCV write it
MANY = HEAD + b"".join(chunk(b"IDAT", PACKED[at : at + 999]) for at in range(0, len(PACKED), 999)) + END

NOISE = np.random.default_rng(1).integers(0, 9, RGB.shape, dtype=np.uint8)
PACKER = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)  # zeros unpack to pixels, so all rows are filled
ZEROS_UNPACK = PACKER.compress(b"".join(b"\0" + row.tobytes() for row in NOISE)) + PACKER.flush()
SILENT = HEAD + chunk(b"IDAT", ZEROS_UNPACK) + END


def refused(data: bytes) -> RejectReason:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, Limits())
    assert caught.value.detail
    return caught.value.reason


def test_whole_files_keep_their_bytes() -> None:
    for data in (ONE, MANY, SILENT):
        assert normalise(data, Limits()).blob is data


@pytest.mark.parametrize("data", [ONE, MANY, SILENT], ids=["one", "many", "silent"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_tail_of_zeros_is_noticed(data: bytes, share: float) -> None:
    kept = int(share * len(data))
    damaged = (RejectReason.BROKEN, RejectReason.TRUNCATED)
    assert refused(data[:kept] + bytes(len(data) - kept)) in damaged
    assert refused(data[:kept] + bytes(len(data) - kept - len(END) - 4) + data[-len(END) - 4 :]) in damaged


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_half_a_picture_that_unpacks_to_all_rows_is_noticed(share: float) -> None:
    """Data whose second half is other pixels: Pillow is content, the checksum is not."""
    rows = RGB.copy()
    rows[int(share * len(rows)) :] = 128
    other = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    body = struct.pack(">I", len(other)) + b"IDAT" + other + ONE[-len(END) - 4 : -len(END)]
    assert refused(HEAD + body + END) == RejectReason.BROKEN


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(PACKED) - 1), bit=st.integers(0, 7), data=st.sampled_from([ONE, MANY]))
@example(at=len(PACKED) - 1, bit=0, data=ONE)
@example(at=len(PACKED) - 5, bit=3, data=ONE)
def test_any_flipped_bit_is_noticed(at: int, bit: int, data: bytes) -> None:
    flipped = bytearray(data)
    flipped[len(data) - len(END) - 5 - at] ^= 1 << bit
    assert refused(bytes(flipped)) in (RejectReason.BROKEN, RejectReason.TRUNCATED)


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1), data=st.sampled_from([ONE, MANY]))
def test_a_cut_file_is_refused_or_has_all_pixels(share: float, data: bytes) -> None:
    cut = data[: int(share * len(data))]
    found: bytes | RejectReason
    try:
        found = normalise(cut, Limits()).blob
    except ImageRejectedError as error:
        found = error.reason
    if isinstance(found, RejectReason):
        assert found in (RejectReason.TRUNCATED, RejectReason.EMPTY, RejectReason.NOT_AN_IMAGE)
    else:
        assert np.array_equal(pixels(found), RGB)


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_a_wrong_checksum_is_broken(name: bytes) -> None:
    data = bytearray(every_kind()["png palette alphas"])
    at = data.index(name)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
    assert refused(bytes(data)) == RejectReason.BROKEN


@pytest.mark.parametrize(
    "extra", [chunk(b"teXt", b"a note")[:-1] + b"!", b"\0\0\0\x20teXtcut"], ids=["wrong checksum", "cut"]
)
def test_damage_behind_the_pixels_costs_nothing(extra: bytes) -> None:
    assert np.array_equal(pixels(normalise(ONE + extra, Limits()).blob), RGB)
