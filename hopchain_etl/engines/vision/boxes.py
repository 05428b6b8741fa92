"""Arithmetic on axis-aligned boxes, as float arrays of shape (n, 4) in ``[x1, y1, x2, y2]`` order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]


def area(boxes: Boxes) -> NDArray[np.float64]:
    """Return the area of each box, px², shape (n,); inverted boxes have area 0."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return sides[:, 0] * sides[:, 1]


def intersection(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the area that each pair of boxes shares, px², shape (len(first), len(second))."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides: Boxes = np.clip(high - low, 0, None)
    return sides[..., 0] * sides[..., 1]


def iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return intersection over union of each pair, shape (len(first), len(second))."""
    shared = intersection(first, second)
    union = area(first)[:, None] + area(second)[None, :] - shared
    return shared / np.maximum(union, 1e-9)


def inside(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the share of each first box that is inside each second box, shape (len(first), len(second))."""
    return intersection(first, second) / np.maximum(area(first)[:, None], 1e-9)
