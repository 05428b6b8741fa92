"""Regions of one colour, as drawing programs fill them; photos have almost none with straight or round edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision.masks import Box, Shape

Pixels = NDArray[np.uint8]

FLAT = 10  # of 255: largest difference between neighbours in a filled area; JPEG adds some
EVEN = 6.0  # of 255: largest standard deviation of a filled area; gradients have more
EDGE = 40  # of 255: a pixel at the edge may differ so much, since it is mixed with the background
WITHIN = 14  # of 255: the pixels of an area differ no more from one in its middle
LEAST = 24  # px of a region
SIDE = 4  # px, shorter side of a rectangle
FILL = 0.93  # share of its box that a rectangle covers, its holes filled
SOLID = 0.6  # the same before holes are filled: the rest is text that is printed on it
BOXES = 12  # of the picture's area: the boxes of all regions of a chart together have less
MOST = 600  # regions; drawings have fewer, and the largest are kept
ALIKE = 8.0  # of 255: largest difference of two colours in a channel at which they are one colour

RECIPE = [FLAT, EVEN, EDGE, WITHIN, LEAST, SIDE, FILL, SOLID, MOST, BOXES, ALIKE]


@dataclass(frozen=True)
class Region:
    """Connected pixels of one colour, holes included; ``colour`` is the mean RGB, ``solid`` the share without holes."""

    shape: Shape
    colour: tuple[float, float, float]
    solid: float

    @cached_property
    def box(self) -> Box:
        """Xyxy px, right and bottom edges exclusive."""
        return self.shape.box

    @cached_property
    def fill(self) -> float:
        """Share of the box that the region covers."""
        return self.shape.area / max(1.0, (self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))

    @cached_property
    def is_rectangle(self) -> bool:
        """Whether it is one, but for rounded corners and text printed on it."""
        sides = self.box[2] - self.box[0], self.box[3] - self.box[1]
        return min(sides) >= SIDE and self.fill >= FILL and self.fill * self.solid >= SOLID


def is_alike(one: tuple[float, ...], other: tuple[float, ...], limit: float = ALIKE) -> bool:
    """Return whether two colours are the same to the eye."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= limit


def find_regions(rgb: Pixels) -> list[Region]:
    """Return the filled areas of an image of shape (h, w, 3), largest first.

    None at all if their boxes together are so large (rings within rings) that the picture is no chart.
    """
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    spread = _largest(np.asarray(cv2.subtract(cv2.dilate(rgb, kernel), cv2.erode(rgb, kernel)), np.uint8))
    flat = (spread <= FLAT).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")
    picture = rgb.copy()  # floodFill wants to be able to write
    taken = np.zeros((rgb.shape[0] + 2, rgb.shape[1] + 2), np.uint8)  # floodFill wants a border of one
    found: list[Region] = []
    budget = BOXES * rgb.shape[0] * rgb.shape[1]
    for number in [n for n in order if n and areas[n] >= LEAST - 8][:MOST]:
        left, top, wide, high, _ = (int(side) for side in stats[number])
        window = slice(top, top + high), slice(left, left + wide)
        part = labels[window] == number
        inside = np.flatnonzero(part)
        row, column = divmod(int(inside[len(inside) // 2]), wide)
        if taken[top + row + 1, left + column + 1]:
            continue  # an earlier region has grown over it
        mean, deviation = cv2.meanStdDev(rgb[window], mask=part.astype(np.uint8))
        if deviation.max() > EVEN:
            continue
        colour = float(mean[0, 0]), float(mean[1, 0]), float(mean[2, 0])
        region = _grown(picture, taken, (left + column, top + row), colour)
        budget -= region.shape.mask.size
        if budget < 0:
            return []
        if region.shape.area >= LEAST:
            found.append(region)
    return sorted(found, key=lambda one: (-one.shape.area, one.box))


def _largest(channels: Pixels) -> Pixels:
    """Return the largest of the three channels of each pixel; NumPy is slow on a last axis of three."""
    return np.maximum(np.maximum(channels[:, :, 0], channels[:, :, 1]), channels[:, :, 2])


def _grown(rgb: Pixels, taken: Pixels, seed: tuple[int, int], colour: tuple[float, float, float]) -> Region:
    """Return all connected pixels of a colour around a seed (column, row), with those at the edge and with its holes.

    JPEG divides one area into several that are flat. The pixels are marked in ``taken``.
    """
    import cv2

    limit = (WITHIN,) * 3
    flags = 4 | (2 << 8) | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY
    _, _, _, (x, y, wide, high) = cv2.floodFill(rgb, taken, seed, 0, limit, limit, flags)
    left, top = max(0, x - 2), max(0, y - 2)
    right, bottom = min(rgb.shape[1], x + wide + 2), min(rgb.shape[0], y + high + 2)
    window = slice(top, bottom), slice(left, right)
    marks = taken[top + 1 : bottom + 1, left + 1 : right + 1]
    mask = (marks == 2).astype(np.uint8)
    marks[marks == 2] = 1
    own = np.full_like(rgb[window], np.round(colour).astype(np.uint8))
    apart = _largest(np.asarray(cv2.absdiff(rgb[window], own), np.uint8))
    mask |= cv2.dilate(mask, np.ones((3, 3), np.uint8)) & (apart <= EDGE).astype(np.uint8)
    bare = int(cv2.countNonZero(mask))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    shape = Shape(left, top, filled.astype(bool), filled.astype(np.float32))
    return Region(shape, colour, bare / max(1, shape.area))
