"""Distances and contacts of masks. Boxes are not enough: of two chairs at a sofa's box, one may touch the sofa."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.outline import pixels

_CONTACT = 0.015  # of the photo's longer side: width of the band in which a neighbour counts as touching


def box_gap(a: Instance, b: Instance) -> float:
    """Return the distance between two boxes in px, which is never more than that between the masks; 0 if they touch."""
    return math.hypot(*_apart(a, b))


def common_area(a: Instance, b: Instance) -> float:
    """Return the area that two boxes share, in px."""
    across = max(0.0, min(a.box[2], b.box[2]) - max(a.box[0], b.box[0]))
    return across * max(0.0, min(a.box[3], b.box[3]) - max(a.box[1], b.box[1]))


def gap_bounds(a: Instance, b: Instance) -> tuple[float, float]:
    """Return the least and the most that the gap between two masks can be: each touches all sides of its box."""
    dx, dy = _apart(a, b)
    least = math.hypot(dx, dy)
    if not (a.has_outline or b.has_outline):
        return least, least
    across = max(a.box[2] - b.box[0], b.box[2] - a.box[0]) if dy else math.inf
    down = max(a.box[3] - b.box[1], b.box[3] - a.box[1]) if dx else math.inf
    return least, min(math.hypot(dx, down), math.hypot(across, dy))


def gap(a: Instance, b: Instance) -> float:
    """Return the distance between two masks in px; an instance without a mask, or a text, fills its box."""
    if not (a.has_outline or b.has_outline):
        return box_gap(a, b)
    x1, y1, x2, y2 = a.strips.T[:, :, None]
    left, top, right, bottom = b.strips.T[:, None, :]
    dx = np.maximum(np.maximum(x1 - right, left - x2), 0)
    dy = np.maximum(np.maximum(y1 - bottom, top - y2), 0)
    return math.sqrt(float((dx * dx + dy * dy).min()))


def share_around(one: Instance, anchor: Instance) -> float:
    """Return which share of the pixels just around ``one`` belongs to ``anchor``."""
    own, theirs, band = _window(one, anchor)
    around = _grown(_grown(own, band).T, band).T & ~own
    return float((around & theirs).sum() / max(1, around.sum()))


def share_below(one: Instance, anchor: Instance) -> float:
    """Return which share of the width of ``one`` has ``anchor`` directly below it."""
    own, theirs, band = _window(one, anchor)
    rows = np.arange(own.shape[0])[:, None]
    lowest = own.shape[0] - 1 - own[::-1].argmax(axis=0)
    columns = own.any(axis=0)
    under = (theirs & (rows > lowest) & (rows <= lowest + band)).any(axis=0) & columns
    return float(under.sum() / max(1, columns.sum()))


def _apart(a: Instance, b: Instance) -> tuple[float, float]:
    """Return how far two boxes are apart across and down, in px."""
    return max(0.0, a.box[0] - b.box[2], b.box[0] - a.box[2]), max(0.0, a.box[1] - b.box[3], b.box[1] - a.box[3])


def _grown(shape: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Return a shape grown by ``width`` px upwards and downwards."""
    below = np.pad(shape, ((width + 1, width), (0, 0))).cumsum(axis=0)
    return below[2 * width + 1 :] > below[: -2 * width - 1]


def _window(one: Instance, anchor: Instance) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Return the pixels of both around ``one``, and the width of the band in which they touch."""
    height, width = one.mask["size"]
    band = max(2, round(_CONTACT * max(height, width)))
    x1, y1 = max(0, int(one.box[0]) - band), max(0, int(one.box[1]) - band)
    x2, y2 = min(width, math.ceil(one.box[2]) + band), min(height, math.ceil(one.box[3]) + band)
    window = (x1, y1, x2, y2)
    return pixels(one.mask, window), pixels(anchor.mask, window), band
