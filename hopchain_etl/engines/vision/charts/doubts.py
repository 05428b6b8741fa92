"""What else may be a bar, found or not: such bars are uncertain, so that nobody counts without them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision import masks
from hopchain_etl.engines.vision.charts.axis_labels import groups_of, pitch_of
from hopchain_etl.engines.vision.charts.elements import BAR, Element
from hopchain_etl.engines.vision.charts.families import Family
from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.charts.regions import Pixels
from hopchain_etl.engines.vision.masks import Box

INK = 30  # of 255: another colour than the background
BLOB = 60  # px of ink that nothing explains
MARK = 8  # px beyond the baseline and along it where a tick or label would be seen

RECIPE = [INK, BLOB, MARK]


def unexplained(
    rgb: Pixels, family: Family, ticks: Sequence[Box], known: Sequence[Box], labels: Sequence[Label]
) -> list[Element]:
    """Return uncertain bars for whatever else is drawn between the bars, and where something marks an empty place.

    Between the bars, hatched and outlined ones or bars of other widths may be; thin lines and text are none.
    ``known`` are the boxes of certain parts and legends, ``ticks`` those of the labels of the scale.
    """
    import cv2

    ink = _ink(rgb, _plot(family, ticks, rgb.shape[1], rgb.shape[0]), known, labels)
    if ink is None:
        return []
    part, (x1, y1) = ink
    closed = cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((6, 6), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(closed)
    found = []
    for left, top, wide, high, area in stats[1:count].tolist():
        if area >= BLOB:
            box = (float(x1 + left), float(y1 + top), float(x1 + left + wide), float(y1 + top + high))
            found.append(Element(BAR, False, masks.rectangle(box, rgb.shape[1], rgb.shape[0])))
    return found


def unmarked(rgb: Pixels, family: Family, ticks: Sequence[Box]) -> list[Element]:
    """Return uncertain bars where there is a tick or a label beyond the baseline but no bar: its value may be small.

    The places are those at the bars' distance, between the bars and one beyond them. ``ticks`` are the boxes of the
    labels of the other axis.
    """
    pitch = pitch_of(family)
    centres = [float(np.mean([family.stacks[n][0].middle for n in group])) for group in groups_of(family)]
    if len(centres) < 2 or pitch < 2 * MARK:
        return []
    empty = [centres[0] - pitch, centres[-1] + pitch]
    for a, b in pairwise(centres):
        empty += np.linspace(a, b, round((b - a) / pitch) + 1)[1:-1].tolist()
    found = []
    for place in empty:
        ink = _ink(rgb, _margin(family, place, rgb.shape[1], rgb.shape[0]), ticks, ())
        if ink is not None and ink[0].any():
            found.append(Element(BAR, False, masks.rectangle(slot(family, place), rgb.shape[1], rgb.shape[0])))
    return found


def slot(family: Family, centre: float) -> Box:
    """Return where a bar without length would stand: at the baseline, 6 px high."""
    half = family.stacks[0][0].thickness / 2
    if family.axis == 1:
        return (centre - half, family.baseline - 3, centre + half, family.baseline + 3)
    return (family.baseline - 3, centre - half, family.baseline + 3, centre + half)


def _margin(family: Family, place: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box just beyond the baseline at a place along it, where a tick would be."""
    outward = family.stacks[0][0].end > family.stacks[0][0].start
    near, far = (-MARK - 3, -3) if outward else (3, MARK + 3)
    along, across = (family.baseline + near, family.baseline + far), (place - MARK / 2, place + MARK / 2)
    (x1, x2), (y1, y2) = (across, along) if family.axis == 1 else (along, across)
    return max(0, round(x1)), max(0, round(y1)), min(width, round(x2)), min(height, round(y2))


def _ink(
    rgb: Pixels, box: tuple[int, int, int, int], known: Sequence[Box], labels: Sequence[Label]
) -> tuple[NDArray[np.bool_], tuple[int, int]] | None:
    """Return which pixels of a box have another colour than the background, and its corner; None for an empty box."""
    import cv2

    x1, y1, x2, y2 = box
    if min(x2 - x1, y2 - y1) < 4:
        return None
    part = rgb[y1:y2, x1:x2]
    ink: NDArray[np.bool_] = np.max(cv2.absdiff(part, np.full_like(part, _background(part))), axis=2) > INK
    ink = _without(ink, known, (x1, y1), 3)
    return _without(ink, [label.box for label in labels], (x1, y1), 5), (x1, y1)


def _plot(family: Family, ticks: Sequence[Box], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box in which bars of a family may stand, px: up to the longest, and one place beside."""
    hull, axis = family.hull, family.axis
    across, beside, thick = 1 - axis, 1.3 * pitch_of(family), family.stacks[0][0].thickness
    box = [hull[0] - 4, hull[1] - 4, hull[2] + 4, hull[3] + 4]
    # Not so far towards the other axis, whose ticks would be taken for bars.
    box[across] = hull[across] - (thick if any(tick[across] < hull[across] for tick in ticks) else beside)
    box[across + 2] = hull[across + 2] + (thick if any(tick[across] > hull[across + 2] for tick in ticks) else beside)
    if family.stacks[0][0].end > family.stacks[0][0].start:
        box[axis] = family.baseline + 3
    else:
        box[axis + 2] = family.baseline - 3
    return max(0, round(box[0])), max(0, round(box[1])), min(width, round(box[2])), min(height, round(box[3]))


def _background(part: Pixels) -> NDArray[np.uint8]:
    """Return the most common colour, to four bits a channel, as the mean of its pixels."""
    flat = part.reshape(-1, 3)[:: max(1, part.size // 300_000)].astype(np.int64)
    keys = (flat[:, 0] >> 4 << 8) | (flat[:, 1] >> 4 << 4) | (flat[:, 2] >> 4)
    return np.asarray(flat[keys == np.bincount(keys).argmax()].mean(axis=0), np.uint8)


def _without(ink: NDArray[np.bool_], boxes: Sequence[Box], corner: tuple[int, int], rim: int) -> NDArray[np.bool_]:
    for box in boxes:
        x1, y1 = max(0, int(box[0]) - rim - corner[0]), max(0, int(box[1]) - rim - corner[1])
        x2, y2 = max(0, int(box[2]) + rim + 1 - corner[0]), max(0, int(box[3]) + rim + 1 - corner[1])
        ink[y1:y2, x1:x2] = False
    return ink
