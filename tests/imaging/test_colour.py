"""What a file says of its colours is applied before it is removed, whichever way it says it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from hopchain_etl.imaging.colour import SRGB_POINTS, profile_of, rgb_profile
from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import Limits
from support.photo_files import SRGB, pixels, png_with, saved, scene, swapped_profile

DISPLAY_P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
GREY = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None], 64, axis=0))
PLAIN = saved(scene(), "PNG")


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(value * 100_000))


def points(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}I", *(round(value * 100_000) for value in values))


def shown(data: bytes) -> np.ndarray:
    return pixels(normalise(data, Limits()).blob).astype(int)


def srgb_of(light: np.ndarray) -> np.ndarray:
    """The levels of sRGB (IEC 61966-2-1) for shares of light."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("value", [1.0, 0.6, 0.3])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA"])
def test_gamma_is_applied(value: float, mode: str) -> None:
    found = shown(png_with(saved(GREY.convert(mode), "PNG"), gAMA=gamma(value)))
    assert np.abs(found[0, :, 1] - srgb_of((np.arange(256) / 255) ** (1 / value))).max() <= 1.5
    assert np.ptp(found, axis=2).max() <= 1  # grey stays grey


def test_a_photo_with_a_gamma_is_no_duplicate_of_one_without() -> None:
    linear = normalise(png_with(PLAIN, gAMA=gamma(1.0)), Limits())
    assert not np.array_equal(pixels(linear.blob), np.asarray(scene()))
    assert normalise(linear.blob, Limits()).blob is linear.blob  # the gamma is gone, and not applied again


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": gamma(0.45455)},
        {"gAMA": gamma(0.45455), "cHRM": points(SRGB_POINTS)},
        {"cHRM": points(SRGB_POINTS)},
        {"sRGB": b"\0", "gAMA": gamma(1.0), "cHRM": points(DISPLAY_P3)},  # sRGB goes before the others
        {"gAMA": gamma(0)},
        {"gAMA": gamma(1e-5)},
        {"cHRM": points((0.0,) * 8), "gAMA": gamma(1.0)},
        {"cHRM": points(SRGB_POINTS)[:-4]},
    ],
)
def test_what_means_srgb_or_nothing_leaves_the_pixels(chunks: dict[str, bytes]) -> None:
    assert normalise(png_with(PLAIN, **chunks), Limits()).blob == PLAIN


def test_a_profile_goes_before_gamma() -> None:
    with_profile = saved(scene(), "PNG", icc_profile=swapped_profile())
    assert np.array_equal(shown(png_with(with_profile, gAMA=gamma(1.0))), shown(with_profile))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize(("primaries", "value"), [(DISPLAY_P3, None), (ADOBE_RGB, 1 / 2.2)])
def test_a_wide_profile_becomes_srgb(kind: str, primaries: tuple[float, ...], value: float | None) -> None:
    """A green that sRGB holds, written in a wider space, is the same green afterwards."""
    profile = rgb_profile(primaries, value)
    assert profile
    green = Image.new("RGB", (96, 80), (60, 180, 75))
    wide = ImageCms.profileToProfile(green, io.BytesIO(SRGB), io.BytesIO(profile))
    assert wide
    wide.info.clear()
    assert np.abs(np.asarray(wide).astype(int) - np.asarray(green)).max() > 15
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    found = shown(saved(wide, kind, icc_profile=profile, **options))
    assert np.abs(found - (60, 180, 75)).max() <= 4


def test_primaries_of_a_png_become_srgb() -> None:
    profile = rgb_profile(DISPLAY_P3)
    green = Image.new("RGB", (96, 80), (60, 180, 75))
    wide = ImageCms.profileToProfile(green, io.BytesIO(SRGB), io.BytesIO(profile or b""))
    assert wide
    wide.info.clear()
    assert np.abs(shown(png_with(saved(wide, "PNG"), cHRM=points(DISPLAY_P3))) - (60, 180, 75)).max() <= 2


def test_our_profile_of_srgb_is_srgb() -> None:
    ours = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(SRGB_POINTS) or b""))
    photo = scene()
    moved = ImageCms.profileToProfile(photo, ours, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(moved).astype(int) - np.asarray(photo)).max() <= 1


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8), value=st.integers(0, 2**32 - 1))
def test_any_numbers_give_a_profile_or_none(values: list[int], value: int) -> None:
    info = {"chromaticity": tuple(one / 100_000 for one in values), "gamma": value / 100_000}
    profile = profile_of(info)
    assert profile is None or isinstance(profile, bytes)
    data = png_with(PLAIN, cHRM=struct.pack(">8I", *values), gAMA=struct.pack(">I", value))
    assert pixels(normalise(data, Limits()).blob).shape == (80, 96, 3)
