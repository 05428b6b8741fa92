"""Colour profiles: what the pixels of a file mean, and how they become sRGB."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # xy of white, red, green, blue
_D50 = np.array([0.9642, 1.0, 0.8249])  # the white of ICC profiles
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # g, a, b, c, d of ICC's parametric curve 3
_NEAR = 0.05  # share by which a gamma may differ from 1/2.2 and still mean sRGB, as in libpng


def profile_of(info: Mapping[Any, Any]) -> bytes | None:
    """Return the ICC profile of an opened image, None for sRGB; for PNG also the one that gAMA and cHRM describe.

    An ICC profile goes before the chunk sRGB, and that before gAMA and cHRM (PNG 3, section 4.3). The chunk cICP is not
    read. Without cHRM the primaries are those of sRGB, without gAMA the curve is.
    """
    embedded, gamma = info.get("icc_profile"), info.get("gamma")
    if isinstance(embedded, bytes) and embedded:
        return embedded
    points = info.get("chromaticity", SRGB_POINTS)
    if "srgb" in info or ("chromaticity" not in info and gamma is None) or len(points) != len(SRGB_POINTS):
        return None
    usual = gamma is None or abs(gamma * 2.2 - 1) <= _NEAR
    if usual and np.allclose(points, SRGB_POINTS, atol=0.002):
        return None
    return rgb_profile(points, gamma)


def rgb_profile(points: Sequence[float], gamma: float | None = None) -> bytes | None:
    """Return an ICC profile; ``points`` are x and y of white, red, green and blue; None if they span no colours.

    Pixels are light to the power of ``gamma`` (0.45 for most screens), None for the curve of sRGB.
    """
    try:
        xy = np.array(points, float).reshape(4, 2)
        with np.errstate(all="raise"):
            white, *primaries = np.column_stack([xy, 1 - xy.sum(axis=1)]) / xy[:, 1:]
            lights = np.array(primaries).T * np.linalg.solve(np.array(primaries).T, white)
            cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
            columns = (np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ lights).T
        tags = {b"%cXYZ" % letter: _xyz(column) for letter, column in zip(b"rgb", columns, strict=True)}
        tags |= {b"%cTRC" % letter: _curve(gamma) for letter in b"rgb"}
    except (np.linalg.LinAlgError, ArithmeticError, ValueError, struct.error):
        return None
    return _profile({b"wtpt": _xyz(_D50)} | tags)


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _curve(gamma: float | None) -> bytes:
    kind, numbers = (3, _SRGB_CURVE) if gamma is None else (0, (1 / gamma,))
    return b"para\0\0\0\0" + struct.pack(f">HH{len(numbers)}i", kind, 0, *(round(n * 65536) for n in numbers))


def _profile(tags: Mapping[bytes, bytes]) -> bytes:
    """Return the bytes of a display profile (ICC.1:2010, section 7) with these tags."""
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


@lru_cache(maxsize=8)
def srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from ``mode`` pixels of a profile to sRGB; None if it changes nothing or cannot be built."""
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(space, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode == "RGB" and _is_srgb(transform) else transform


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether an RGB transform moves no colour by more than 2 of 255 levels.

    Most photos have one of many variants of an sRGB profile. Converting them would only add rounding errors and turn a
    JPEG into a PNG seven times as large.
    """
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    moved = ImageCms.applyTransform(Image.fromarray(probe), transform)
    return int(np.abs(np.asarray(moved).astype(int) - probe).max()) <= 2
