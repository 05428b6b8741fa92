"""The pixels of objects: shapes, overlaps resolved between them, and COCO run-length encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision import boxes

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shape:
    """An object's pixels: a boolean crop whose top left corner is at (left, top) in the photo."""

    left: int
    top: int
    mask: NDArray[np.bool_]
    weight: NDArray[np.float32]  # how strongly each pixel belongs to the object

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.mask.sum())

    @property
    def box(self) -> Box:
        """The mask's own box, xyxy px, right and bottom edges exclusive; empty if no pixel is left."""
        ys, xs = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not len(ys):
            return (float(self.left), float(self.top), float(self.left), float(self.top))
        x, y = self.left, self.top
        return (float(x + xs[0]), float(y + ys[0]), float(x + xs[-1] + 1), float(y + ys[-1] + 1))

    @property
    def window(self) -> tuple[slice, slice]:
        """The position of the crop in the photo, for indexing an array of shape (height, width)."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def rectangle(box: Box, width: int, height: int) -> Shape:
    """Return all pixels that a box touches, inside a photo of the given size."""
    x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
    x2, y2 = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    mask = np.ones((max(0, y2 - y1), max(0, x2 - x1)), dtype=bool)
    return Shape(x1, y1, mask, mask.astype(np.float32))


def with_low_weight(shape: Shape) -> Shape:
    """Return a shape that loses every overlap."""
    return replace(shape, weight=shape.weight * 0.01)


def resolve_overlaps(shapes: Sequence[Shape], width: int, height: int) -> list[Shape]:
    """Return the shapes without overlaps.

    Each pixel goes to the inner shape of nested ones, otherwise to the shape with the highest weight.
    """
    if not shapes:
        return []
    hulls = np.array([shape.box for shape in shapes])
    levels = (boxes.inside(hulls, hulls) >= 0.8).sum(axis=1)  # how many shapes contain it, including itself
    owner = np.full((height, width), -1, dtype=np.int32)
    best = np.zeros((height, width), dtype=np.float32)
    for index, shape in enumerate(shapes):
        weight = np.where(shape.mask, shape.weight + levels[index], 0).astype(np.float32)
        wins = weight > best[shape.window]
        best[shape.window] = np.where(wins, weight, best[shape.window])
        owner[shape.window] = np.where(wins, index, owner[shape.window])
    return [replace(shape, mask=owner[shape.window] == index) for index, shape in enumerate(shapes)]


def separated(shapes: Mapping[int, Shape], least: float, width: int, height: int) -> dict[int, Shape]:
    """Return the shapes without overlaps; those of which fewer than ``least`` px are left are missing and take none."""
    large = {key: shape for key, shape in shapes.items() if shape.area >= least}
    apart = dict(zip(large, resolve_overlaps(list(large.values()), width, height), strict=True))
    left = {key: large[key] for key, shape in apart.items() if shape.area >= least}
    return apart if len(left) == len(large) else separated(left, least, width, height)


def encode(shape: Shape, width: int, height: int) -> dict[str, Any]:
    """Return a shape as COCO run-length encoding of the whole photo: ``{"size": [height, width], "counts": ascii}``."""
    from pycocotools import mask as coco

    full = np.zeros((height, width), dtype=np.uint8, order="F")
    full[shape.window] = shape.mask
    return {"size": [height, width], "counts": coco.encode(full)["counts"].decode("ascii")}
