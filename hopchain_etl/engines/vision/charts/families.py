"""Families of rectangles that may be the bars of one chart: equally thick, on one baseline, of different lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import numpy as np

from hopchain_etl.engines.vision.charts.regions import ALIKE, Pixels, Region, is_alike
from hopchain_etl.engines.vision.masks import Box, Shape

ON_LINE = 2.0  # px that the foot of a bar may be away from the baseline
THICK = 0.08  # share by which thicknesses may differ, and at least ON_LINE px
CROSSED = 5.0  # px of a grid line or stripe that is drawn over a bar
BEYOND = 7.0  # px: farther beyond its ends than any grid line is thick, there is another colour than the bar's
VARIED = 4.0  # px by which lengths must differ: equal rectangles are tiles

RECIPE = [ON_LINE, THICK, CROSSED, BEYOND, VARIED]


@dataclass(frozen=True)
class Piece:
    """A rectangle from ``start`` to ``end`` px along the axis on which it grows; downwards or leftwards if end < start.

    ``axis`` is 1 for upright bars, 0 for lying ones.
    """

    axis: int
    start: float
    end: float
    parts: tuple[Region, ...]  # more than one if lines or stripes cross it

    @cached_property
    def box(self) -> Box:
        """Xyxy px."""
        sides = np.array([part.box for part in self.parts])
        low, high = sides[:, :2].min(axis=0), sides[:, 2:].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def colour(self) -> tuple[float, float, float]:
        """Mean RGB of its largest part."""
        return self.parts[0].colour

    @property
    def length(self) -> float:
        """Px."""
        return abs(self.end - self.start)

    @property
    def middle(self) -> float:
        """Its centre across the axis, px."""
        across = 1 - self.axis
        return (self.box[across] + self.box[across + 2]) / 2

    @property
    def thickness(self) -> float:
        """Px across the axis."""
        across = 1 - self.axis
        return self.box[across + 2] - self.box[across]

    @property
    def shape(self) -> Shape:
        """The pixels of all parts, and of the lines that cross it."""
        if len(self.parts) == 1:
            return self.parts[0].shape
        x1, y1, x2, y2 = (round(side) for side in self.box)
        mask = np.ones((y2 - y1, x2 - x1), dtype=bool)
        return Shape(x1, y1, mask, mask.astype(np.float32))


@dataclass(frozen=True)
class Family:
    """Bars on one baseline. ``stacks`` has for each bar its pieces from the baseline outwards, mostly one."""

    axis: int
    baseline: float
    stacks: tuple[tuple[Piece, ...], ...]

    @cached_property
    def pieces(self) -> list[Piece]:
        """All pieces of all bars."""
        return [piece for stack in self.stacks for piece in stack]

    @property
    def is_stacked(self) -> bool:
        """Whether a bar consists of several pieces."""
        return any(len(stack) > 1 for stack in self.stacks)

    @cached_property
    def hull(self) -> Box:
        """The box around all bars."""
        sides = np.array([piece.box for piece in self.pieces])
        low, high = sides[:, :2].min(axis=0), sides[:, 2:].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def find_families(regions: Sequence[Region], rgb: Pixels) -> list[Family]:
    """Return what may be the bars of charts, the largest families first; a rectangle may be in several."""
    rectangles = [one for one in regions if one.is_rectangle and not _holds_others(one, regions)]
    found = [family for axis in (1, 0) for family in _along(axis, rectangles, rgb)]
    return sorted(found, key=lambda one: (-len(one.stacks), -one.axis, one.baseline))


def _holds_others(one: Region, regions: Sequence[Region]) -> bool:
    """Return whether a rectangle is a panel: two others or more lie in it."""
    x1, y1, x2, y2 = one.box
    within = 0
    for other in regions:
        a1, b1, a2, b2 = other.box
        if other is not one and other.is_rectangle and x1 <= a1 and y1 <= b1 and a2 <= x2 and b2 <= y2:
            within += 1
    return within >= 2


def _along(axis: int, rectangles: Sequence[Region], rgb: Pixels) -> Iterator[Family]:
    """Yield the families whose bars grow along an axis."""
    across = 1 - axis
    striped = _joined(across, [(one,) for one in rectangles])
    whole = [one for one in _joined(axis, striped) if not _goes_on(axis, one, rgb)]
    for thickness in _clusters([box[across + 2] - box[across] for box in map(_box, whole)], THICK):
        alike = [
            one for one in whole if abs(_box(one)[across + 2] - _box(one)[across] - thickness) <= _slack(thickness)
        ]
        lines = sorted({side for one in alike for side in (_box(one)[axis], _box(one)[axis + 2])})
        for baseline in _clusters(lines, 0.0):
            feet = [p for one in alike for p in _standing(axis, one, baseline)]
            feet = sorted(feet, key=lambda p: p.middle)
            if len(feet) < 2 or any(b.middle - a.middle < 0.9 * thickness for a, b in pairwise(feet)):
                continue
            stacks = tuple(_stacked(axis, foot, alike) for foot in feet)
            ends = [stack[-1].end for stack in stacks]
            if max(ends) - min(ends) >= VARIED or any(len(stack) > 1 for stack in stacks):
                yield Family(axis, baseline, stacks)


def _joined(axis: int, rectangles: Sequence[tuple[Region, ...]]) -> list[tuple[Region, ...]]:
    """Return the rectangles, those joined that follow each other along an axis and differ in nothing else.

    So one bar stays one under grid lines and with stripes. Two equal bars with hardly a gap become one, too thick a bar
    for their family.
    """
    across = 1 - axis
    joined: list[tuple[Region, ...]] = []
    left = sorted(rectangles, key=lambda one: (round(_box(one)[across] / 3), _box(one)[axis]))
    while left:
        chain = left.pop(0)
        while after := [one for one in left if _follows(axis, chain, one)]:
            left.remove(after[0])
            chain = (*chain, *after[0])
        joined.append(chain)
    return joined


def _follows(axis: int, chain: tuple[Region, ...], one: tuple[Region, ...]) -> bool:
    a, b, across = _box(chain), _box(one), 1 - axis
    level = abs(a[across] - b[across]) <= ON_LINE and abs(a[across + 2] - b[across + 2]) <= ON_LINE
    return level and -ON_LINE <= b[axis] - a[axis + 2] <= CROSSED and is_alike(one[0].colour, chain[0].colour)


def _goes_on(axis: int, one: tuple[Region, ...], rgb: Pixels) -> bool:
    """Return whether a rectangle is background between grid lines: beyond them is its own colour again.

    Beyond one end, or on both sides; a bar may have an equal neighbour on one.
    """
    ends = [_alike_beyond(axis, edge, one, rgb) for edge in (axis, axis + 2)]
    return any(ends) or all(_alike_beyond(1 - axis, edge, one, rgb) for edge in (1 - axis, 3 - axis))


def _alike_beyond(axis: int, edge: int, one: tuple[Region, ...], rgb: Pixels) -> bool:
    """Return whether a few px beyond an edge of a rectangle, along most of it, there is its colour again."""
    across, box = 1 - axis, _box(one)
    inner = slice(round(box[across]) + 1, max(round(box[across]) + 2, round(box[across + 2]) - 1))
    near, far = (-BEYOND, -ON_LINE) if edge == axis else (ON_LINE, BEYOND)
    outer = slice(max(0, round(box[edge] + near)), max(0, round(box[edge] + far)))
    strip = rgb[outer, inner] if axis == 1 else rgb[inner, outer]
    if not strip.size:
        return False
    alike = np.abs(strip.astype(np.float64) - one[0].colour).max(axis=2) <= ALIKE
    return bool(alike.any(axis=1 - axis).mean() > 0.5)


def _standing(axis: int, one: tuple[Region, ...], baseline: float) -> Iterator[Piece]:
    low, high = _box(one)[axis], _box(one)[axis + 2]
    if abs(low - baseline) <= ON_LINE:
        yield Piece(axis, low, high, one)
    elif abs(high - baseline) <= ON_LINE:
        yield Piece(axis, high, low, one)


def _stacked(axis: int, foot: Piece, others: Sequence[tuple[Region, ...]]) -> tuple[Piece, ...]:
    """Return the pieces that stand one upon the other from a foot on."""
    across, stack = 1 - axis, [foot]
    while True:
        end, rises = stack[-1].end, foot.end > foot.start
        upon = [
            one
            for one in others
            if one != stack[-1].parts
            and abs(_box(one)[across] - foot.box[across]) <= ON_LINE
            and abs(_box(one)[across + 2] - foot.box[across + 2]) <= ON_LINE
            and abs((_box(one)[axis] if rises else _box(one)[axis + 2]) - end) <= CROSSED
        ]
        if not upon:
            return tuple(stack)
        low, high = _box(upon[0])[axis], _box(upon[0])[axis + 2]
        stack.append(Piece(axis, low, high, upon[0]) if rises else Piece(axis, high, low, upon[0]))


def _box(parts: tuple[Region, ...]) -> Box:
    return Piece(1, 0, 0, parts).box if len(parts) > 1 else parts[0].box


def _slack(thickness: float) -> float:
    return max(ON_LINE, THICK * thickness)


def _clusters(values: Sequence[float], share: float) -> list[float]:
    """Return the medians of values that lie close together, each value in one cluster."""
    found: list[list[float]] = []
    for value, _ in groupby(sorted(values)):
        if found and value - found[-1][0] <= max(ON_LINE, share * value):
            found[-1].append(value)
        else:
            found.append([value])
    return [float(np.median(group)) for group in found]
