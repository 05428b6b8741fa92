"""The colours of an object, named as questions name them.

A pixel gets every colour name that a person might use for it: the ranges below overlap, and the overlap is the guard
band between two names. ``colour`` counts only pixels with a single name, so "the red car" is red to everyone;
``colours`` counts pixels with any of their names, so a colour that is not listed is really absent.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision.masks import Shape
from hopchain_etl.hops.colours import COLOURS, join_colours

T = TypeVar("T", bound=np.generic)

DOMINANT = 0.45  # share of pixels with this one name only
POSSIBLE = 0.6  # share of pixels that may carry it
SHADED = frozenset({"black", "white", "grey", "brown"})  # shadows and glare can make any colour look like these
SHADED_DOMINANT = 0.6  # so they need a larger share
RIVAL = 0.35  # share of pixels that may also, or instead, carry another name
PRESENT = 0.04  # share from which a name belongs to ``colours``
EDGE = 0.03  # of the shorter side: object and background mix this far from the mask's edge, inside and outside
BAND = 0.1  # of the shorter side: the width of the surroundings, from there on
AROUND = 0.5  # share of the surroundings with the same name from which the mask may be of the background
ENOUGH = 64  # px; a smaller mask shows too little to say that a colour is not on the object
FADED = 16  # of 255: a photo with less spread between channels in 99 % of its pixels is black and white
MAX_PIXELS = 40_000  # a larger mask is sampled on a grid

RECIPE = {
    "dominant": [DOMINANT, SHADED_DOMINANT, POSSIBLE],
    "rival": RIVAL,
    "present": PRESENT,
    "around": [EDGE, BAND, AROUND],
    "enough": ENOUGH,
    "faded": FADED,
}


class Range(NamedTuple):
    """A box in HSV that a name covers: hue in degrees (may wrap around 0), saturation and value in [0, 1]."""

    name: str
    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]


ANY = (0.0, 360.0)
# The terms are from Berlin and Kay; the ranges are our own, set so that CSS colours like "saddlebrown", "hotpink" and
# "navy" get only the name they contain, and "salmon", "teal" and "tan" get several.
RANGES = (
    Range("black", ANY, (0.0, 1.0), (0.0, 0.22)),
    Range("black", ANY, (0.0, 0.40), (0.0, 0.34)),
    Range("grey", ANY, (0.0, 0.20), (0.18, 0.86)),
    Range("grey", ANY, (0.0, 0.35), (0.14, 0.45)),
    Range("white", ANY, (0.0, 0.14), (0.58, 1.0)),
    Range("white", (25, 75), (0.0, 0.28), (0.80, 1.0)),  # in lamplight
    Range("red", (338, 18), (0.38, 1.0), (0.14, 1.0)),
    Range("red", (338, 18), (0.25, 1.0), (0.14, 0.60)),
    Range("pink", (300, 350), (0.10, 1.0), (0.45, 1.0)),
    Range("pink", (338, 20), (0.10, 0.70), (0.52, 1.0)),
    Range("pink", (20, 30), (0.10, 0.42), (0.70, 1.0)),
    Range("orange", (9, 48), (0.32, 1.0), (0.55, 1.0)),
    Range("brown", (0, 50), (0.15, 1.0), (0.14, 0.60)),
    Range("brown", (14, 50), (0.15, 0.92), (0.58, 0.84)),
    Range("brown", (14, 50), (0.15, 0.60), (0.70, 0.92)),  # tan, wood in the sun
    Range("yellow", (40, 78), (0.15, 1.0), (0.42, 1.0)),
    Range("yellow", (30, 78), (0.08, 0.35), (0.72, 1.0)),  # cream
    Range("green", (66, 188), (0.10, 1.0), (0.14, 1.0)),
    Range("green", (45, 70), (0.15, 1.0), (0.14, 0.62)),  # olive
    Range("blue", (162, 266), (0.10, 1.0), (0.14, 1.0)),
    Range("purple", (250, 318), (0.06, 1.0), (0.14, 1.0)),
    Range("purple", (230, 318), (0.06, 0.14), (0.80, 1.0)),  # lavender
    Range("purple", (316, 345), (0.10, 1.0), (0.14, 0.62)),  # wine
)


def describe_colours(rgb: NDArray[np.uint8], shape: Shape) -> dict[str, str]:
    """Return ``colours``, all basic names that may be on an object, and ``colour`` if one dominates.

    ``rgb`` is the whole photo, shape (h, w, 3), and ``shape`` the object's pixels. There is no ``colour`` if the
    surroundings have it too: see ``_may_be_background``.
    """
    if shape.area < ENOUGH:
        return {"colours": join_colours(COLOURS)}
    names = names_of(_inner(rgb[shape.window], shape.mask))
    present = names.mean(axis=0)
    alone = (names & (names.sum(axis=1, keepdims=True) == 1)).mean(axis=0)
    seen = {"colours": join_colours(name for name, share in zip(COLOURS, present, strict=True) if share >= PRESENT)}
    first = int(np.argmax(alone))
    if _dominates(first, alone, present) and not _may_be_background(first, rgb, shape):
        seen["colour"] = COLOURS[first]
    return seen


def is_faded(rgb: NDArray[np.uint8]) -> bool:
    """Return whether a photo of shape (h, w, 3) shows no colours at all."""
    pixels = _sampled(rgb.reshape(-1, 3)).astype(np.int16)
    return bool(np.percentile(np.ptp(pixels, axis=1), 99) < FADED)


def _dominates(first: int, alone: NDArray[np.float64], present: NDArray[np.float64]) -> bool:
    """Return whether people would agree to name the whole object with this colour (index in COLOURS)."""
    needed = SHADED_DOMINANT if COLOURS[first] in SHADED else DOMINANT
    return bool(alone[first] >= needed and present[first] >= POSSIBLE and np.delete(present, first).max() <= RIVAL)


def _may_be_background(first: int, rgb: NDArray[np.uint8], shape: Shape) -> bool:
    """Return whether a mask of this colour (index in COLOURS) may be of what is behind the object.

    Such a mask goes on beyond its edge: half of its surroundings have its colour, or half of those beyond its box, or
    it reaches all four borders of the photo. The surroundings are what directly adjoins the mask: an object that has a
    gap to its neighbours of the same colour keeps its colour, one that touches them on most sides loses it. That costs
    a question; the colour of a wrong mask would make one wrong.
    """
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = shape.box
    rows, columns = (_sampled(places) for places in _surroundings(shape, width, height))
    alike = names_of(rgb[rows, columns])[:, first]
    beyond = (rows < y1) | (rows >= y2) | (columns < x1) | (columns >= x2)
    shares = [part.mean() for part in (alike, alike[beyond]) if len(part)]
    return not shares or max(shares) >= AROUND or shape.box == (0, 0, width, height)


def _surroundings(shape: Shape, width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns, in the photo, of the band around a mask; at the photo's border it is cut off."""
    import cv2

    x1, y1, x2, y2 = shape.box
    near = max(1, round(EDGE * min(x2 - x1, y2 - y1)))
    far = near + max(2, round(BAND * min(x2 - x1, y2 - y1)))
    ys, xs = shape.window
    top, left = max(0, ys.start - far), max(0, xs.start - far)
    outside = np.ones((min(height, ys.stop + far) - top, min(width, xs.stop + far) - left), dtype=np.uint8)
    outside[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left] = ~shape.mask
    distance = cv2.distanceTransform(outside, cv2.DIST_C, 3)  # px, to the mask
    rows, columns = np.nonzero((distance > near) & (distance <= far))
    return rows + top, columns + left


def share_of(name: str, rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Return the share of a mask's pixels that may be called ``name``, one of COLOURS."""
    pixels = _inner(rgb, mask)
    return float(names_of(pixels)[:, COLOURS.index(name)].mean()) if len(pixels) else 0.0


def names_of(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return for RGB pixels of shape (n, 3) which of the COLOURS names each may be given, shape (n, 11).

    Every colour has at least one name, on a border between names two to four.
    """
    hue, saturation, value = _hsv(pixels)
    names = np.zeros((len(pixels), len(COLOURS)), dtype=bool)
    for name, (low, high), (s0, s1), (v0, v1) in RANGES:
        inside = (low <= hue) & (hue <= high) if low <= high else (low <= hue) | (hue <= high)
        inside &= (s0 <= saturation) & (saturation <= s1) & (v0 <= value) & (value <= v1)
        names[:, COLOURS.index(name)] |= inside
    return names


def _hsv(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return hue in degrees, saturation and value in [0, 1] of RGB pixels of shape (n, 3)."""
    unit = pixels.astype(np.float64) / 255
    red, green, blue = unit.T
    value = unit.max(axis=1)
    spread = value - unit.min(axis=1)
    safe = np.where(spread > 0, spread, 1)
    hue = np.select(
        [spread == 0, value == red, value == green],
        [0.0, (green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return 60 * hue, spread / np.where(value > 0, value, 1), value


def _inner(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the mask's pixels without its border ring, or all of them if the mask is too thin, shape (n, 3)."""
    import cv2

    ring = max(1, round(EDGE * min(mask.shape)))
    kernel = np.ones((2 * ring + 1, 2 * ring + 1), dtype=np.uint8)
    core = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
    return _sampled(rgb[core if core.sum() >= 0.3 * mask.sum() else mask])


def _sampled(pixels: NDArray[T]) -> NDArray[T]:
    return pixels[:: max(1, len(pixels) // MAX_PIXELS)]
