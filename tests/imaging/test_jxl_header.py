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


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), start=st.sampled_from([b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"]))
def test_any_bytes_give_a_header_or_a_value_error(data: bytes, start: bytes) -> None:
    try:
        header = jxl_header(start + data)
    except ValueError:
        return
    assert header.width >= 0
    assert header.height > 0
