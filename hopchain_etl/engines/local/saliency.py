"""Converts the saliency map of a box to the mask of the object in it: thresholded, cut at the box and cleaned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.local.u2net import Cut
from hopchain_etl.engines.vision import boxes
from hopchain_etl.engines.vision.masks import Box, Shape

THRESHOLD = 0.5  # of saliency
SLACK = 0.04  # of a box's sides: boxes are inexact, so a mask may extend this far beyond the box
SPECK = 0.1  # of the largest piece's area: smaller pieces are noise
MIN_COVER = 0.2  # share of the box that a mask must cover
MAX_LEAK = 0.3  # largest share of salient pixels that may lie outside the box
MIN_FIT = 0.5  # IoU of the mask's own box with the detected one

RECIPE = {
    "threshold": THRESHOLD,
    "slack": SLACK,
    "speck": SPECK,
    "cover": MIN_COVER,
    "leak": MAX_LEAK,
    "fit": MIN_FIT,
}


def mask_from_saliency(cut: Cut, box: Box) -> Shape | None:
    """Return the object in a box (xyxy px), or None if the salient region is not the object of the box."""
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


def _window(cut: Cut, box: Box, slack: float) -> NDArray[np.bool_]:
    """Return which pixels of the crop are in the box enlarged by a share of its sides."""
    dx, dy = slack * (box[2] - box[0]), slack * (box[3] - box[1])
    ys, xs = _centres(cut)
    across = (xs >= box[0] - dx) & (xs <= box[2] + dx)
    down = (ys >= box[1] - dy) & (ys <= box[3] + dy)
    return np.asarray(down[:, None] & across[None, :])


def _closeness(cut: Cut, box: Box) -> NDArray[np.float32]:
    """Return 1 at the centre of the box, falling to .1 at its corners and beyond: neighbours are separated half way."""
    ys, xs = _centres(cut)
    across = np.abs(xs - (box[0] + box[2]) / 2) / max((box[2] - box[0]) / 2, 1)
    down = np.abs(ys - (box[1] + box[3]) / 2) / max((box[3] - box[1]) / 2, 1)
    return np.clip(1 - 0.45 * (down[:, None] + across[None, :]), 0.1, 1).astype(np.float32)


def _centres(cut: Cut) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    height, width = cut.saliency.shape
    ys, xs = cut.top + np.arange(height) + 0.5, cut.left + np.arange(width) + 0.5
    return ys.astype(np.float64), xs.astype(np.float64)


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected component and those that are not much smaller."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    return np.asarray((areas >= SPECK * areas.max())[labels] & mask)
