"""The header of JPEG XL: sizes as they were encoded, and as they stand in files made by hand."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from hopchain_etl.imaging.jxl_header import JxlHeader, jxl_header
from support.jxl import codestream, in_boxes
from support.photo_files import saved

SIDES = st.integers(1, 300)


@settings(max_examples=60, deadline=None)
@given(width=SIDES, height=SIDES, lossless=st.booleans())
@example(width=256, height=256, lossless=False)  # a ratio, and both sides in eighths
@example(width=160, height=90, lossless=True)
def test_sizes_are_those_that_were_encoded(width: int, height: int, lossless: bool) -> None:
    data = saved(Image.new("RGB", (width, height), "red"), "JXL", lossless=lossless, effort=1)
    assert jxl_header(data) == JxlHeader(width, height, is_animation=False)


@pytest.mark.parametrize("size", [(1, 1), (64, 20_000), (2**14, 2**18), (2**30, 2**30)])
@pytest.mark.parametrize("parts", [0, 1, 3])
def test_large_sizes_and_animations(size: tuple[int, int], parts: int) -> None:
    for is_animation in (False, True):
        data = codestream(*size, is_animation=is_animation)
        assert jxl_header(in_boxes(data, parts) if parts else data) == JxlHeader(*size, is_animation)


@pytest.mark.parametrize("data", [b"\xff\x0a", b"", b"\0\0\0\x0cJXL \r\n\x87\n", in_boxes(b"no codestream at all", 1)])
def test_no_header_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        jxl_header(data)


def box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body


def part(number: int, piece: bytes = b"") -> bytes:
    return box(b"jxlp", number.to_bytes(4, "big") + piece)


STREAM = codestream(640, 480)


@pytest.mark.parametrize(
    "boxes",
    [
        part(0, STREAM[:8]) + box(b"jxlc", STREAM),
        part(0) + box(b"jxlc", STREAM),
        part(1, STREAM),
        part(0, STREAM[:8]) + part(2, STREAM[8:]),
        part(0, STREAM[:8]) + part(0, STREAM[8:]),
        part(1 << 30, STREAM),
        box(b"free", b"") * 20_000 + box(b"jxlc", STREAM),
    ],
    ids=["parts and a whole", "an empty part", "not from 0", "a gap", "the same again", "far too high", "many boxes"],
)
def test_boxes_that_a_decoder_might_read_otherwise_are_an_error(boxes: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        jxl_header(in_boxes(b"", 1)[:-8] + boxes)


def test_parts_in_order_are_read() -> None:
    boxes = part(0, STREAM[:3]) + box(b"free", b"note") * 99 + part(1, STREAM[3:8]) + part(1 << 31 | 2, STREAM[8:])
    assert jxl_header(in_boxes(b"", 1)[:-8] + boxes) == JxlHeader(640, 480, is_animation=False)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), start=st.sampled_from([b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"]))
def test_any_bytes_give_a_header_or_a_value_error(data: bytes, start: bytes) -> None:
    try:
        header = jxl_header(start + data)
    except ValueError:
        return
    assert header.width >= 0
    assert header.height > 0
