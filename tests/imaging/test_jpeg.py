"""A JPEG of which a part is missing is noticed, and any other gives the pixels that Pillow gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hopchain_etl.imaging.jpeg import decode_jpeg
from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.photo_files import every_kind, pixels, saved, scene

END = b"\xff\xd9"
PHOTO = scene().resize((480, 400), Image.Resampling.BICUBIC)
FILES = {
    "plain": saved(PHOTO, "JPEG", quality=90),
    "restarts": saved(PHOTO, "JPEG", restart_marker_blocks=5),
    "finest": saved(PHOTO, "JPEG", quality=100, subsampling=0),
    "grey": saved(PHOTO.convert("L"), "JPEG"),
    "inks": saved(PHOTO.convert("CMYK"), "JPEG"),
    "progressive": saved(PHOTO, "JPEG", progressive=True),
}
SEQUENTIAL = [name for name in FILES if name != "progressive"]
WHOLE = {name: normalise(data, Limits()) for name, data in FILES.items()}


REASONS_OF_CUT = {RejectReason.TRUNCATED, RejectReason.EMPTY, RejectReason.NOT_AN_IMAGE}


def scan(data: bytes) -> int:
    """Where the (first) scan's data begin."""
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def outcome(data: bytes) -> bytes | RejectReason:
    try:
        return normalise(data, Limits()).blob
    except ImageRejectedError as error:
        return error.reason


def refused(data: bytes) -> RejectReason:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, Limits())
    return caught.value.reason


@pytest.mark.parametrize("name", FILES)
def test_the_middle_as_zeros_is_noticed(name: str) -> None:
    data = FILES[name]
    start = scan(data) + (len(data) - scan(data)) // 3
    assert refused(data[:start] + bytes(len(data) // 3) + data[start + len(data) // 3 :]) == RejectReason.TRUNCATED


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8, 0.95])
def test_a_tail_of_zeros_before_an_end_marker_is_noticed(name: str, share: float) -> None:
    data = FILES[name]
    kept = scan(data) + int((len(data) - scan(data)) * share)
    assert refused(data[:kept] + bytes(len(data) - kept - 2) + END) == RejectReason.TRUNCATED


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(SEQUENTIAL), share=st.floats(0, 1), marked=st.booleans())
def test_a_cut_file_is_truncated_or_has_all_pixels(name: str, share: float, marked: bool) -> None:
    data = FILES[name]
    cut = data[: int(share * len(data))] + END * marked
    found = outcome(cut)
    if isinstance(found, RejectReason):
        assert len(cut) < len(data)
        assert found in REASONS_OF_CUT
    else:
        assert np.array_equal(pixels(found), pixels(WHOLE[name].blob))


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_progressive_file_is_truncated_or_shows_all_of_the_photo(share: float) -> None:
    """Between two scans it is a valid file of lower quality: nothing is missing, everything is coarser."""
    data = FILES["progressive"]
    cut = data[: int(share * len(data))] + END
    found = outcome(cut)
    if isinstance(found, RejectReason):
        assert found in REASONS_OF_CUT
    else:
        far = np.abs(pixels(found).astype(int) - pixels(WHOLE["progressive"].blob))
        assert far[-40:].mean() < 40  # grey, as where nothing was decoded, is further away


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_its_end_marker_is_truncated(name: str) -> None:
    assert refused(FILES[name][:-2]) == RejectReason.TRUNCATED


def test_a_flat_lower_half_is_no_damage() -> None:
    for colour in ("white", "grey", "black"):
        page = Image.new("RGB", (480, 800), colour)
        page.paste(PHOTO)
        for options in ({}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"restart_marker_rows": 1}):
            data = saved(page, "JPEG", **options)
            assert normalise(data, Limits()).blob is data


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 20, b"\xff" * 30, b"\xff\0\xff\0"])
def test_a_few_bytes_before_the_end_marker_are_no_damage(extra: bytes) -> None:
    data = FILES["finest"][:-2] + extra + END
    assert np.array_equal(pixels(normalise(data, Limits()).blob), pixels(WHOLE["finest"].blob))


@pytest.mark.parametrize("name", [name for name in every_kind() if name.startswith(("jpeg", "mpo"))])
@pytest.mark.parametrize("size", [None, (12, 10), (50, 40)])
def test_pixels_are_those_of_pillow(name: str, size: tuple[int, int] | None) -> None:
    data = every_kind()[name]
    ours, pillows = (Image.open(io.BytesIO(data)) for _ in range(2))
    if size and ours.mode == "RGB":  # the only mode that ingest decodes small
        ours.draft(ours.mode, size)
        pillows.draft(pillows.mode, size)
    decoded = decode_jpeg(data, ours)
    assert decoded.mode == pillows.mode
    assert np.array_equal(np.asarray(decoded), np.asarray(pillows))
    assert decoded.getexif() == pillows.getexif()
