"""The pixels and the outline of a stored mask (COCO run-length encoding)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

MOST_POINTS = 96  # of an outline; at 1,000 px of circumference one in ten is kept


def rle(mask: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored mask as pycocotools reads it."""
    return {"size": list(mask["size"]), "counts": mask["counts"].encode()}


def pixels(mask: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return a mask's pixels, shape (height, width) of the photo."""
    decoded: NDArray[np.uint8] = coco.decode(rle(mask))
    return decoded.view(np.bool_)


def outline(mask: Mapping[str, Any], box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Return up to MOST_POINTS points on the outline of a mask, shape (n, 2): x and y in px of the photo."""
    height, width = mask["size"]
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    shape = np.pad(pixels(mask)[top:bottom, left:right], 1)
    surrounded = shape[:-2, 1:-1] & shape[2:, 1:-1] & shape[1:-1, :-2] & shape[1:-1, 2:]
    ys, xs = np.nonzero(shape[1:-1, 1:-1] & ~surrounded)
    step = max(1, math.ceil(len(xs) / MOST_POINTS))
    return np.stack([xs[::step] + left, ys[::step] + top], axis=1).astype(np.float32)
