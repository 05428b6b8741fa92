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
    dx = max(0.0, a.box[0] - b.box[2], b.box[0] - a.box[2])
    dy = max(0.0, a.box[1] - b.box[3], b.box[1] - a.box[3])
    return math.hypot(dx, dy)


def gap(a: Instance, b: Instance) -> float:
    """Return the distance between two masks in px; an instance without a mask, or a text, fills its box."""
    if a.has_outline and b.has_outline:
        apart = a.outline[:, None, :] - b.outline[None, :, :]
        return math.sqrt(float((apart * apart).sum(axis=2).min()))
    if a.has_outline or b.has_outline:
        shape, other = (a, b) if a.has_outline else (b, a)
        low, high = np.array(other.box[:2]), np.array(other.box[2:])
        apart = np.maximum(0, np.maximum(low - shape.outline, shape.outline - high))
        return math.sqrt(float((apart * apart).sum(axis=1).min()))
    return box_gap(a, b)


def share_around(one: Instance, anchor: Instance) -> float:
    """Return which share of the pixels just around ``one`` belongs to ``anchor``."""
    around, theirs = _bands(one, anchor)
    return float((around & theirs).sum() / max(1, around.sum()))


def share_below(one: Instance, anchor: Instance) -> float:
    """Return which share of the width of ``one`` has ``anchor`` directly below it."""
    around, theirs = _bands(one, anchor)
    own, _, _ = _window(one, anchor)
    lowest = own.shape[0] - 1 - own[::-1].argmax(axis=0)
    below = around & (np.arange(own.shape[0])[:, None] > lowest) & own.any(axis=0)
    under = (below & theirs).any(axis=0)
    return float(under.sum() / max(1, own.any(axis=0).sum()))


def _bands(one: Instance, anchor: Instance) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the band around ``one`` and the pixels of ``anchor``, as boolean arrays over the same window."""
    own, theirs, width = _window(one, anchor)
    return _grown(_grown(own, width).T, width).T & ~own, theirs


def _grown(shape: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Return a shape grown by ``width`` px upwards and downwards."""
    below = np.pad(shape, ((width + 1, width), (0, 0))).cumsum(axis=0)
    return below[2 * width + 1 :] > below[: -2 * width - 1]


def _window(one: Instance, anchor: Instance) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    height, width = one.mask["size"]
    band = max(2, round(_CONTACT * max(height, width)))
    x1, y1 = max(0, int(one.box[0]) - band), max(0, int(one.box[1]) - band)
    x2, y2 = min(width, math.ceil(one.box[2]) + band), min(height, math.ceil(one.box[3]) + band)
    return pixels(one.mask)[y1:y2, x1:x2], pixels(anchor.mask)[y1:y2, x1:x2], band
