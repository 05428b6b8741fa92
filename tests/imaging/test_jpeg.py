"""A JPEG of which a part is missing is noticed, and any other gives the pixels that Pillow gives."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
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


def gap(data: bytes, share: float, length: int) -> bytes:
    """Return the file with zeros in place of so many bytes of its data."""
    at = scan(data) + int((len(data) - scan(data)) * share)
    return data[:at] + bytes(length) + data[at + length :]


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_a_gap_of_300_zeros_is_noticed(name: str, share: float) -> None:
    """Also in a file of which it is less than a hundredth, as a lost block is of a large photo."""
    assert refused(gap(FILES[name], share, 300)) == RejectReason.TRUNCATED


def test_what_is_not_found_is_a_gap_after_which_codes_come_out_even() -> None:
    """JPEG has no checksum. If this fails because it is found now, correct the table in docs/operating.md."""
    found = [outcome(gap(FILES["plain"], share / 20, 30)) for share in range(1, 20)]
    accepted = [one for one in found if isinstance(one, bytes)]
    assert 10 <= len(accepted) < len(found)
    assert all(pixels(one).shape == pixels(WHOLE["plain"].blob).shape for one in accepted)
    assert all(not np.array_equal(pixels(one), pixels(WHOLE["plain"].blob)) for one in accepted)


def test_a_few_bytes_left_over_are_no_damage_without_a_gap_of_zeros() -> None:
    """Some cameras leave a few; a flat area has zeros in its data, if the tables were made for the photo."""
    data = FILES["finest"][:-2] + bytes(range(1, 101)) + END
    assert np.array_equal(pixels(normalise(data, Limits()).blob), pixels(WHOLE["finest"].blob))
    flat = Image.new("RGB", (800, 2000), "white")
    flat.paste(PHOTO)
    page = saved(flat, "JPEG", optimize=True, quality=100)
    assert bytes(64) in page
    assert normalise(page, Limits()).blob is page
    assert refused(page[:-2] + bytes(range(1, 101)) + END) == RejectReason.TRUNCATED


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(SEQUENTIAL), share=st.floats(0, 1), marked=st.booleans())
@example(name="restarts", share=0.01, marked=False)  # inside the header
@example(name="restarts", share=0.01, marked=True)
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


STRAY = b"\x12\x34"


def strayed(data: bytes, *places: int) -> bytes:
    """Return the file with two bytes before these of its restart markers."""
    marks = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", data)]
    for at in sorted((marks[place] for place in places), reverse=True):
        data = data[:at] + STRAY + data[at:]
    return data


@pytest.mark.parametrize("places", [(0,), (7,), (100,), (3, 90, 91)])
def test_bytes_before_a_restart_are_damage_and_hide_none(places: tuple[int, ...]) -> None:
    """The decoder tells of them late or not at all. If it does not tell, nothing is missing."""
    whole = strayed(FILES["restarts"], *places)
    found = outcome(whole)
    assert found == RejectReason.TRUNCATED or np.array_equal(pixels(found), pixels(WHOLE["restarts"].blob))
    assert refused(whole[: len(whole) * 4 // 5] + END) == RejectReason.TRUNCATED


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_bytes_between_segments_hide_no_damage(share: float) -> None:
    data = FILES["plain"]
    at = data.index(b"\xff\xc4")
    assert np.array_equal(pixels(normalise(data[:at] + STRAY + data[at:], Limits()).blob), pixels(WHOLE["plain"].blob))
    assert refused(data[:at] + STRAY + data[at : int(share * len(data))] + END) == RejectReason.TRUNCATED


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_padding_before_the_end_marker_is_no_damage(name: str, byte: bytes) -> None:
    data = FILES[name]
    padded = data[:-2] + byte * (len(data) // 20) + END
    assert np.array_equal(pixels(normalise(padded, Limits()).blob), pixels(WHOLE[name].blob))


@pytest.mark.parametrize("trailer", [b"a note", bytes(5000)])
def test_a_trailer_without_an_end_marker_neither_costs_a_photo_nor_hides_damage(trailer: bytes) -> None:
    data = FILES["plain"][:-2]
    assert np.array_equal(pixels(normalise(data + trailer, Limits()).blob), pixels(WHOLE["plain"].blob))
    assert refused(data[: len(data) // 2] + trailer) == RejectReason.TRUNCATED


def test_what_is_left_over_is_measured_against_the_picture_itself() -> None:
    """Not against a video behind it, as phones write."""
    data = FILES["plain"]
    overwritten = data[:-600] + bytes(598) + END
    assert refused(overwritten) == RejectReason.TRUNCATED
    assert refused(overwritten + b"video" * len(data)) == RejectReason.TRUNCATED
    assert outcome(data + b"video" * len(data)) == data


def test_the_core_needs_none_of_the_optional_decoders() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('simplejpeg', 'pillow_heif', 'pillow_jxl')));"
        "import hopchain_etl.pipeline.build, hopchain_etl.pipeline.funnel"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
