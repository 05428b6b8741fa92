"""Of a TIFF the photo is read, never its preview; and pixels are read rightly or refused by name."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.photo_files import pixels, saved, scene

RGB = np.asarray(scene())
GREY = np.asarray(scene().convert("L"))
PLANES = np.moveaxis(RGB, 2, 0).copy()


def tiff(*pages: tuple[np.ndarray, dict[str, Any]], **options: Any) -> bytes:
    sink = io.BytesIO()
    with tifffile.TiffWriter(sink, **options) as writer:
        for values, said in pages:
            writer.write(values, metadata=None, **said)
    return sink.getvalue()


def of(values: np.ndarray, **options: Any) -> bytes:
    return tiff((values, options))


def refused(data: bytes) -> tuple[RejectReason, str]:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, Limits())
    return caught.value.reason, caught.value.detail


def edited(data: bytes, tag: int, change: Any) -> bytes:
    """Return the little-endian TIFF with ``change`` applied to the list of a tag's numbers."""
    made = bytearray(data)
    at = struct.unpack_from("<I", data, 4)[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        name, kind, count = struct.unpack_from("<HHI", data, entry)
        if name == tag:
            form = f"<{count}{ {3: 'H', 4: 'I'}[kind] }"
            size = struct.calcsize(form)
            place = entry + 8 if size <= 4 else struct.unpack_from("<I", data, entry + 8)[0]
            struct.pack_into(form, made, place, *change(list(struct.unpack_from(form, data, place))))
            return bytes(made)
    raise KeyError(tag)


PREVIEW = (RGB[:64, :64].copy(), {"photometric": "rgb", "subfiletype": 1})
PHOTO = (RGB, {"photometric": "rgb"})
LZW = saved(scene(), "TIFF", compression="tiff_lzw")  # its tags stand behind its pixels
LAYOUTS: list[dict[str, Any]] = [{"rowsperstrip": 16}, {"tile": (16, 16)}]
CR2 = LZW[:8] + b"CR\2\0" + LZW[12:]
DNG = {"photometric": "rgb", "extratags": [(50706, 1, 4, (1, 4, 0, 0), True)]}


@pytest.mark.parametrize(
    "data",
    [
        tiff(PREVIEW),
        tiff(PREVIEW, PHOTO),
        tiff((PREVIEW[0], PREVIEW[1] | {"subifds": 1}), PHOTO),
        tiff((RGB, DNG)),
        tiff((PREVIEW[0], PREVIEW[1] | DNG | {"subifds": 1}), PHOTO),
        CR2,
    ],
)
def test_a_preview_is_not_taken_for_the_photo(data: bytes) -> None:
    assert refused(data)[0] == RejectReason.UNSUPPORTED_FORMAT


def test_a_photo_before_its_preview_is_read() -> None:
    small = tiff((RGB, PHOTO[1] | {"subifds": 1}), PREVIEW)
    assert np.array_equal(pixels(normalise(small, Limits()).blob), RGB)
    assert refused(tiff(PHOTO, PREVIEW))[0] == RejectReason.MULTI_PAGE  # which page is meant is a guess
    assert refused(tiff(PHOTO, PHOTO))[0] == RejectReason.MULTI_PAGE


@pytest.mark.parametrize(
    "data",
    [
        of((RGB / 255).astype(np.float32), photometric="rgb"),
        of((RGB / 255).astype(np.float16), photometric="rgb"),
        of((GREY / 255).astype(np.float16)),
        of((GREY / 255).astype(np.float64)),
        of(GREY.astype(np.complex64)),
        of(RGB.astype(np.uint32) << 24, photometric="rgb"),
        of(PLANES.astype(np.uint16) * 257, photometric="rgb", planarconfig="separate"),
        of((GREY.astype(int) - 128).astype(np.int8)),
        saved(scene().convert("YCbCr"), "TIFF"),
        edited(of(RGB, photometric="rgb"), 259, lambda _: [34712]),
        edited(of(RGB, photometric="rgb"), 259, lambda _: [34892]),
    ],
)
def test_pixels_that_are_not_read_are_refused_by_name(data: bytes) -> None:
    reason, detail = refused(data)
    assert reason == RejectReason.UNSUPPORTED_FORMAT
    assert detail


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (of(RGB.astype(np.uint16) * 257, photometric="rgb"), RGB),
        (tiff((RGB.astype(np.uint16) * 257, PHOTO[1]), byteorder=">"), RGB),
        (of(PLANES, photometric="rgb", planarconfig="separate"), RGB),
        (of(PLANES, photometric="rgb", planarconfig="separate", compression="zlib"), RGB),
        (of(RGB, photometric="rgb", compression="zlib", predictor=True), RGB),
        (of(RGB, photometric="rgb", tile=(16, 16)), RGB),
        (tiff(PHOTO, bigtiff=True), RGB),
        (of(255 - GREY, photometric="miniswhite"), GREY),
        (of((GREY / 255).astype(np.float32)), GREY),
        (of(GREY.astype(np.uint16) * 257), GREY),
        (saved(scene().quantize(64), "TIFF"), np.asarray(scene().quantize(64).convert("RGB"))),
    ],
)
def test_pixels_that_are_read_are_read_rightly(data: bytes, expected: np.ndarray) -> None:
    found = pixels(normalise(data, Limits()).blob).astype(int)
    assert np.abs(found - (expected if expected.ndim == 3 else expected[..., None])).max() <= 1


def without_counts(data: bytes, layout: dict[str, Any]) -> bytes:
    return edited(data, 279 if "rowsperstrip" in layout else 325, lambda old: old[:2] + [0] * (len(old) - 2))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_strips_and_tiles_are_noticed(options: dict[str, Any], layout: dict[str, Any]) -> None:
    data = of(RGB, photometric="rgb", **options, **layout)
    offsets = 273 if "rowsperstrip" in layout else 324
    assert refused(data[: len(data) * 2 // 3])[0] == RejectReason.TRUNCATED
    left_out = edited(without_counts(data, layout), offsets, lambda old: old[:2] + [0] * (len(old) - 2))
    assert refused(left_out)[0] == RejectReason.TRUNCATED


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_count_of_zero_is_only_missing_data_if_it_is_compressed(layout: dict[str, Any]) -> None:
    plain = without_counts(of(RGB, photometric="rgb", **layout), layout)
    assert np.array_equal(pixels(normalise(plain, Limits()).blob), RGB)
    packed = without_counts(of(RGB, photometric="rgb", compression="zlib", **layout), layout)
    assert refused(packed)[0] == RejectReason.TRUNCATED


def test_too_large_a_count_for_the_last_strip_costs_nothing() -> None:
    data = edited(of(RGB, photometric="rgb", rowsperstrip=32), 279, lambda old: [old[0]] * len(old))
    assert len(data) < Image.open(io.BytesIO(data)).tag_v2[273][-1] + Image.open(io.BytesIO(data)).tag_v2[279][-1]
    assert np.array_equal(pixels(normalise(data, Limits()).blob), RGB)
