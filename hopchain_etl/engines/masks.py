"""From what stands out in a box to the pixels of one object: cut off, cleaned, told apart from its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines import boxes
from hopchain_etl.engines.u2net import Cut

Box = tuple[float, float, float, float]

THRESHOLD = 0.5  # of saliency
SLACK = 0.04  # of a box's sides: boxes are inexact, so a mask may reach so far beyond
SPECK = 0.1  # of the largest piece's area: smaller pieces are noise
MIN_COVER = 0.2  # share of the box that a mask must cover
MAX_LEAK = 0.3  # share of what stands out that may lie outside the box
MIN_FIT = 0.5  # IoU of the mask's own box with the detected one

RECIPE = {
    "threshold": THRESHOLD,
    "slack": SLACK,
    "speck": SPECK,
    "cover": MIN_COVER,
    "leak": MAX_LEAK,
    "fit": MIN_FIT,
}


@dataclass(frozen=True)
class Shape:
    """An object's pixels: a boolean crop whose top left corner lies at (left, top) in the photo."""

    left: int
    top: int
    mask: NDArray[np.bool_]
    weight: NDArray[np.float32]  # how much each pixel belongs to it

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.mask.sum())

    @property
    def box(self) -> Box:
        """The mask's own box, xyxy px, right and bottom edges exclusive; empty where no pixel is left."""
        ys, xs = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not len(ys):
            return (float(self.left), float(self.top), float(self.left), float(self.top))
        x, y = self.left, self.top
        return (float(x + xs[0]), float(y + ys[0]), float(x + xs[-1] + 1), float(y + ys[-1] + 1))

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the crop lies in the photo, for indexing an array of shape (height, width)."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def rectangle(box: Box, width: int, height: int) -> Shape:
    """Return all pixels that a box touches, inside a photo of the given size."""
    x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
    x2, y2 = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    mask = np.ones((max(0, y2 - y1), max(0, x2 - x1)), dtype=bool)
    return Shape(x1, y1, mask, mask.astype(np.float32))


def shaped(cut: Cut, box: Box) -> Shape | None:
    """Return the object in a box (xyxy px), or None where something else than the box's object stands out."""
    allowed = _window(cut, box, SLACK)
    out = cut.saliency >= THRESHOLD
    mask = _without_specks(out & allowed)
    shape = Shape(cut.left, cut.top, mask, cut.saliency * _closeness(cut, box))
    covered = shape.area / max((box[2] - box[0]) * (box[3] - box[1]), 1e-9)
    leak = 1 - (out & allowed).sum() / max(int(out.sum()), 1)
    fit = boxes.iou(np.array([shape.box]), np.array([box]))[0, 0]
    if covered < MIN_COVER or leak > MAX_LEAK or fit < MIN_FIT:
        return None
    return shape


def faint(shape: Shape) -> Shape:
    """Return a shape that gives way to every other where they overlap."""
    return replace(shape, weight=shape.weight * 0.01)


def told_apart(shapes: Sequence[Shape], width: int, height: int) -> list[Shape]:
    """Return the shapes with every pixel left to one of them: the inner of nested ones, else where it weighs most."""
    if not shapes:
        return []
    hulls = np.array([shape.box for shape in shapes])
    levels = (boxes.inside(hulls, hulls) >= 0.8).sum(axis=1)  # how many hold it, itself among them
    owner = np.full((height, width), -1, dtype=np.int32)
    best = np.zeros((height, width), dtype=np.float32)
    for index, shape in enumerate(shapes):
        weight = np.where(shape.mask, shape.weight + levels[index], 0).astype(np.float32)
        wins = weight > best[shape.window]
        best[shape.window] = np.where(wins, weight, best[shape.window])
        owner[shape.window] = np.where(wins, index, owner[shape.window])
    return [replace(shape, mask=owner[shape.window] == index) for index, shape in enumerate(shapes)]


def encode(shape: Shape, width: int, height: int) -> dict[str, Any]:
    """Return a shape as COCO run-length encoding of the whole photo: ``{"size": [height, width], "counts": ascii}``."""
    from pycocotools import mask as coco

    full = np.zeros((height, width), dtype=np.uint8, order="F")
    full[shape.window] = shape.mask
    return {"size": [height, width], "counts": coco.encode(full)["counts"].decode("ascii")}


def decode(mask: dict[str, Any]) -> NDArray[np.bool_]:
    """Return the pixels, shape (height, width), of a mask that ``encode`` wrote."""
    from pycocotools import mask as coco

    return np.asarray(coco.decode({"size": mask["size"], "counts": mask["counts"].encode("ascii")}), dtype=bool)


def _window(cut: Cut, box: Box, slack: float) -> NDArray[np.bool_]:
    """Return which pixels of the crop lie in the box widened by a share of its sides."""
    dx, dy = slack * (box[2] - box[0]), slack * (box[3] - box[1])
    ys, xs = _centres(cut)
    across = (xs >= box[0] - dx) & (xs <= box[2] + dx)
    down = (ys >= box[1] - dy) & (ys <= box[3] + dy)
    return np.asarray(down[:, None] & across[None, :])


def _closeness(cut: Cut, box: Box) -> NDArray[np.float32]:
    """Return 1 at the centre of the box, falling to .1 at its corners and beyond: neighbours meet half way."""
    ys, xs = _centres(cut)
    across = np.abs(xs - (box[0] + box[2]) / 2) / max((box[2] - box[0]) / 2, 1)
    down = np.abs(ys - (box[1] + box[3]) / 2) / max((box[3] - box[1]) / 2, 1)
    return np.clip(1 - 0.45 * (down[:, None] + across[None, :]), 0.1, 1).astype(np.float32)


def _centres(cut: Cut) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    height, width = cut.saliency.shape
    ys, xs = cut.top + np.arange(height) + 0.5, cut.left + np.arange(width) + 0.5
    return ys.astype(np.float64), xs.astype(np.float64)


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece and those that are not much smaller."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    return np.asarray((areas >= SPECK * areas.max())[labels] & mask)
