"""Stripping changes no pixel, leaves no metadata and gives up on what it does not understand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hopchain_etl.imaging.metadata import strip_jpeg, strip_png, strip_webp
from support.photo_files import SIZE, SRGB, XMP, dirty_jpeg, every_kind, exif, png_text, saved, scene


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@settings(max_examples=60, deadline=None)
@given(
    quality=st.integers(1, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    progressive=st.booleans(),
    restarts=st.integers(0, 3),
    width=st.integers(1, 70),
    seed=st.integers(0, 2**16),
)
def test_jpeg_pixels_survive(
    quality: int, subsampling: int, progressive: bool, restarts: int, width: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (37, width, 3)).astype(np.uint8)
    data = dirty_jpeg(
        Image.fromarray(noise),
        quality=quality,
        subsampling=subsampling,
        progressive=progressive,
        restart_marker_blocks=restarts,
    )
    stripped = strip_jpeg(data)
    assert stripped is not None
    assert np.array_equal(decoded(data), decoded(stripped))
    assert strip_jpeg(stripped) == stripped


def test_jpeg_keeps_only_what_draws() -> None:
    image = Image.open(io.BytesIO(strip_jpeg(dirty_jpeg()) or b""))
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_jpeg_thumbnail_in_jfif_goes() -> None:
    plain = saved(scene(), "JPEG")
    thumbnail = b"JFIF\0\1\1\0\0\1\0\1\2\1" + b"secret"
    data = plain[:2] + b"\xff\xe0" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail + plain[20:]
    assert strip_jpeg(data) == plain


def test_jpeg_fill_bytes_go_and_a_missing_end_comes() -> None:
    plain = saved(scene(), "JPEG")
    assert strip_jpeg(plain[:2] + b"\xff\xff" + plain[2:-2]) == plain


@pytest.mark.parametrize("junk", [b"junk", b"\xff\xc9\x00\x04\x00\x00", b"\xff\x01", b"\xff\xe1\xff\xff"])
def test_irregular_jpeg_is_left_to_reencoding(junk: bytes) -> None:
    plain = saved(scene(), "JPEG")
    assert strip_jpeg(plain[:2] + junk + plain[2:]) is None


def test_webp_whose_picture_is_cut_is_left_to_reencoding() -> None:
    plain = saved(scene(), "WEBP", lossless=True)
    assert strip_webp(plain) == plain
    longer = int.from_bytes(plain[16:20], "little") + 2
    assert strip_webp(plain[:16] + longer.to_bytes(4, "little") + plain[20:]) is None


def test_png_keeps_header_and_pixels_only() -> None:
    plain = saved(scene(), "PNG")
    dirty = saved(scene(), "PNG", exif=exif(), pnginfo=png_text(), icc_profile=SRGB, dpi=(300, 300))
    assert b"eXIf" in dirty
    assert strip_png(dirty + b"after the end") == plain
    assert strip_png(plain) == plain


def test_png_of_other_pixels_or_wrong_checksum_is_left_to_reencoding() -> None:
    files = every_kind()
    for name in ("png L", "png P", "png RGBA", "grey16 PNG", "png colour key"):
        assert strip_png(files[name]) is None, name
    plain = saved(scene(), "PNG")
    assert strip_png(plain[:-1] + b"?") is None
    assert strip_png(plain[:-12]) is None


def test_png_with_an_unknown_critical_chunk_is_left_to_reencoding() -> None:
    plain = saved(scene(), "PNG")
    chunk = b"NEWc" + b"data"
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert strip_png(plain[:33] + chunk + plain[33:]) is None
    assert strip_png(plain[:33] + chunk.replace(b"NEWc", b"newc") + plain[33:]) == plain


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}])
def test_webp_becomes_the_simple_layout(options: dict[str, object]) -> None:
    plain = saved(scene(), "WEBP", **options)
    dirty = saved(scene(), "WEBP", exif=exif(), xmp=XMP, icc_profile=SRGB, **options)
    assert b"VP8X" in dirty
    stripped = strip_webp(dirty + b"after the end")
    assert stripped == plain
    assert np.array_equal(decoded(stripped), decoded(dirty))
    assert strip_webp(plain) == plain


def test_webp_with_transparency_or_frames_is_left_to_reencoding() -> None:
    rgba = scene()
    rgba.putalpha(Image.new("L", SIZE, 128))
    assert strip_webp(saved(rgba, "WEBP")) is None
    assert strip_webp(saved(scene(), "WEBP", save_all=True, append_images=[scene().rotate(180)])) is None


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF"]))
def test_any_bytes_are_stripped_or_given_up(data: bytes, start: bytes) -> None:
    for strip in (strip_jpeg, strip_png, strip_webp):
        stripped = strip(start + data)
        assert stripped is None or strip(stripped) == stripped
