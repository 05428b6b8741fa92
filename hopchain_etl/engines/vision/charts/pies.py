"""Pies and rings: sectors of one disc, found by their angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision.charts import evidence
from hopchain_etl.engines.vision.charts.elements import SLICE, Element, is_alone
from hopchain_etl.engines.vision.charts.evidence import Measured, Value
from hopchain_etl.engines.vision.charts.readings import READ, Label
from hopchain_etl.engines.vision.charts.regions import Region, is_alike
from hopchain_etl.engines.vision.masks import Shape

LEAST_RADIUS = 30.0  # px
MOST = 0.6  # of the image: a larger region is the background
PAGE = 0.25  # of the image: so large is the page at least
RIM = 0.9  # of the radius: slices reach so far out
SPECK = 0.02  # of the squared radius, px: a smaller region on the disc may be anything
GAP = 5  # px between slices
ROUND = 0.94  # share of the circle around all slices that they cover, with the hole of a ring
SECTOR = 0.9  # IoU of a slice with the ideal sector
NARROW = 0.75  # the same for slices of less than 20 degrees
COVERED = 0.985  # share of the directions in which there is a slice
BINS = 1440  # directions
NEAR = 1.45  # radii from the centre: labels of slices lie within
POINTS = 0.008  # of the disc: how exactly a share is measured

RECIPE = [LEAST_RADIUS, MOST, PAGE, RIM, SPECK, GAP, ROUND, SECTOR, NARROW, COVERED, BINS, NEAR, POINTS]


@dataclass(frozen=True)
class Sector:
    """A slice: its region, where it starts (rad, clockwise from the right), and its share of the disc."""

    region: Region
    start: float
    share: float

    @property
    def bisector(self) -> float:
        """The direction of its middle, rad."""
        return self.start + np.pi * self.share


@dataclass(frozen=True)
class Pie:
    """A disc or ring of sectors; centre and radii in px. ``gaps``: directions without a slice are left."""

    centre: tuple[float, float]
    radius: float
    hole: float
    sectors: tuple[Sector, ...]
    gaps: bool


def find_pies(regions: Sequence[Region], width: int, height: int) -> list[Pie]:
    """Return the discs that consist of at least two sectors."""
    # What has the colour of the largest area is the page, the hole of a ring or the panel of a legend.
    parts = [
        one
        for one in regions
        if _may_be_slice(one, width, height)
        and not (regions[0].shape.area >= PAGE * width * height and is_alike(one.colour, regions[0].colour))
    ]
    return [pie for group in _touching(parts) if (pie := _pie(group, width, height))]


def _may_be_slice(one: Region, width: int, height: int) -> bool:
    x1, y1, x2, y2 = one.box
    return (
        max(x2 - x1, y2 - y1) >= 0.5 * LEAST_RADIUS and one.shape.area < MOST * width * height and not one.is_rectangle
    )


def _touching(parts: Sequence[Region]) -> list[list[Region]]:
    """Return groups of regions that are at most GAP px apart."""
    import cv2

    kernel = np.ones((2 * GAP + 1, 2 * GAP + 1), np.uint8)
    grown = []
    for part in parts:
        mask = np.pad(part.shape.mask.astype(np.uint8), GAP)
        grown.append((part.shape.left - GAP, part.shape.top - GAP, cv2.dilate(mask, kernel).astype(bool)))
    groups: list[set[int]] = []
    for n, part in enumerate(parts):
        near = {m for m in range(n) if _meet(grown[m], part.shape)}
        joined = [group for group in groups if group & near]
        groups = [group for group in groups if not group & near] + [set().union({n}, *joined)]
    return [[parts[n] for n in sorted(group)] for group in groups if 2 <= len(group) <= 40]


def _meet(grown: tuple[int, int, NDArray[np.bool_]], shape: Shape) -> bool:
    left, top, mask = grown
    x1, y1 = max(left, shape.left), max(top, shape.top)
    x2 = min(left + mask.shape[1], shape.left + shape.mask.shape[1])
    y2 = min(top + mask.shape[0], shape.top + shape.mask.shape[0])
    if x1 >= x2 or y1 >= y2:
        return False
    ours = shape.mask[y1 - shape.top : y2 - shape.top, x1 - shape.left : x2 - shape.left]
    return bool((mask[y1 - top : y2 - top, x1 - left : x2 - left] & ours).any())


def _pie(group: Sequence[Region], width: int, height: int) -> Pie | None:
    """Return the pie that a group of regions forms, if it is one."""
    import cv2

    union = np.zeros((height, width), np.uint8)
    for one in group:
        union[one.shape.window] |= one.shape.mask
    closed = cv2.morphologyEx(union, cv2.MORPH_CLOSE, np.ones((2 * GAP + 1, 2 * GAP + 1), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    (x, y), radius = cv2.minEnclosingCircle(outline)
    if radius < LEAST_RADIUS or cv2.contourArea(outline) < ROUND * np.pi * radius**2:
        return None
    centre = float(x), float(y)
    outer = [one for one in group if _reach(one, centre) >= RIM * radius]  # the others are in the hole of a ring
    ring = np.zeros((height, width), np.uint8)
    for one in outer:
        ring[one.shape.window] |= one.shape.mask
    hole = _hole(ring, centre, radius)
    sectors = [_sector(one, centre, radius, hole) for one in outer]
    found = tuple(one for one in sectors if one)
    other = [one for one, sector in zip(outer, sectors, strict=True) if sector is None]
    if len(found) < 2 or any(one.shape.area > SPECK * radius**2 for one in other):
        return None
    total = sum(one.share for one in found)
    if total < 0.9:
        return None
    return Pie(centre, float(radius), hole, tuple(sorted(found, key=lambda one: one.start)), total < COVERED)


def _reach(one: Region, centre: tuple[float, float]) -> float:
    """Return the distance of a region's farthest pixel from a centre, px."""
    rows, columns = np.nonzero(one.shape.mask)
    return float(np.hypot(columns + one.shape.left + 0.5 - centre[0], rows + one.shape.top + 0.5 - centre[1]).max())


def _hole(union: NDArray[np.uint8], centre: tuple[float, float], radius: float) -> float:
    """Return the radius of the hole of a ring, 0 for a disc."""
    rows, columns = np.indices(union.shape)
    apart = np.hypot(columns + 0.5 - centre[0], rows + 0.5 - centre[1])
    bare = apart[(apart < radius * 0.9) & (union == 0)]
    inner = apart < radius * 0.15
    if not len(bare) or union[inner].mean() > 0.5:
        return 0.0
    return float(np.percentile(bare, 95))


def _sector(one: Region, centre: tuple[float, float], radius: float, hole: float) -> Sector | None:
    """Return a region as a sector; None if it has another form."""
    rows, columns = np.nonzero(one.shape.mask)
    dx, dy = columns + one.shape.left + 0.5 - centre[0], rows + one.shape.top + 0.5 - centre[1]
    far = np.hypot(dx, dy)
    rim = far >= max(hole + 0.3 * (radius - hole), 0.3 * radius)
    if not rim.any():
        return None
    bins = np.bincount(
        (np.arctan2(dy[rim], dx[rim]) % (2 * np.pi) / (2 * np.pi) * BINS).astype(int) % BINS, minlength=BINS
    )
    filled = _smoothed(bins) > 0.35 * np.percentile(bins[bins > 0], 75)
    runs = _runs(filled)
    if len(runs) != 1:
        return None
    first, count = runs[0]
    share = count / BINS
    if share > 0.97:
        return None
    start = first / BINS * 2 * np.pi
    turned = (np.arctan2(dy, dx) - start) % (2 * np.pi)
    slack = 2.0 / np.maximum(far, 1)  # rad; two px to each side
    span = 2 * np.pi * share
    within = (turned <= span + slack) | (turned >= 2 * np.pi - slack)
    within &= far <= radius + 2
    ideal = np.pi * (radius**2 - hole**2) * share
    common = float(within.sum())
    iou = common / (len(far) + max(0.0, ideal - common))
    return Sector(one, start, share) if iou >= (SECTOR if share > 20 / 360 else NARROW) else None


def _smoothed(bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean over five neighbours, around the circle: near the centre a direction may have no pixel."""
    return np.convolve(np.concatenate([bins[-2:], bins, bins[:2]]), np.full(5, 0.2), "valid")


def _runs(filled: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and length of each run of true bins around the circle."""
    if filled.all():
        return [(0, len(filled))]
    starts = np.flatnonzero(filled & ~np.roll(filled, 1))
    ends = np.flatnonzero(filled & ~np.roll(filled, -1))
    return [
        (int(s), int((ends[(ends >= s)][:1] if (ends >= s).any() else ends[:1] + len(filled))[0] - s + 1))
        for s in starts
    ]


def slice_elements(pie: Pie, labels: Sequence[Label], in_legend: bool) -> list[Element]:
    """Return the slices of a pie; none if nothing that was read confirms it.

    ``in_legend``: a legend has all their colours. Otherwise their values must agree with their angles, or each must
    have a name of its own.
    """
    near = {n: _near(pie, one, labels) for n, one in enumerate(pie.sectors)}
    values = _values(pie, near)
    names = {n: [one for one in mine if not one.number and one.score >= READ] for n, mine in near.items()}
    named = len(pie.sectors) >= 3 and all(len(mine) == 1 for mine in names.values())
    if not (values or in_legend or named):
        return []
    elements = []
    for n, one in enumerate(pie.sectors):
        value = values.get(n)
        text = value.label.text if value and value.is_sure else None
        mine = names[n]
        label = mine[0].text if len(mine) == 1 and mine[0].is_sure and is_alone(mine[0], mine) else None
        named_so = {"label": label} if label and named else {}
        elements.append(Element(SLICE, True, one.region.shape, one.region.colour, text, named_so))
    if pie.gaps:  # something narrow was not found
        elements.append(Element(SLICE, False, _disc(pie)))
    return elements


def _near(pie: Pie, sector: Sector, labels: Sequence[Label]) -> list[Label]:
    """Return the labels in a slice, or beyond it within its angle."""
    found = []
    for one in labels:
        dx, dy = one.centre[0] - pie.centre[0], one.centre[1] - pie.centre[1]
        turned = (np.arctan2(dy, dx) - sector.start) % (2 * np.pi)
        # A label beyond the disc starts where the line through the middle of its slice meets it, so allow its length.
        x = min(max(pie.centre[0], one.box[0]), one.box[2]) - pie.centre[0]
        y = min(max(pie.centre[1], one.box[1]), one.box[3]) - pie.centre[1]
        if (
            0 < turned < 2 * np.pi * sector.share
            and np.hypot(x, y) <= NEAR * pie.radius
            and np.hypot(dx, dy) > 0.1 * pie.radius
        ):
            found.append(one)
    return found


def _values(pie: Pie, near: dict[int, list[Label]]) -> dict[int, Value]:
    """Return the printed values that agree with the shares: percentages as such, other numbers in proportion."""
    things = [
        Measured(one.share, tuple(label for label in near[n] if label.number and label.score >= READ), POINTS)
        for n, one in enumerate(pie.sectors)
    ]
    percent = [
        thing._replace(labels=tuple(label for label in thing.labels if label.number and label.number.unit == "%"))
        for thing in things
    ]
    if any(thing.labels for thing in percent):
        found = evidence.agreed(percent, 100.0)
        return found if len(found) >= max(2, evidence.MOST * sum(bool(one.labels) for one in percent)) else {}
    return evidence.agreed(things)


def _disc(pie: Pie) -> Shape:
    size = int(np.ceil(2 * pie.radius))
    rows, columns = np.indices((size, size))
    mask = np.hypot(columns + 0.5 - pie.radius, rows + 0.5 - pie.radius) <= pie.radius
    left, top = round(pie.centre[0] - pie.radius), round(pie.centre[1] - pie.radius)
    cut = mask[max(0, -top) :, max(0, -left) :]
    return Shape(max(0, left), max(0, top), cut, cut.astype(np.float32))
