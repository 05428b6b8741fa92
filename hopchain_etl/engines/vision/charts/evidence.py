"""What shows that rectangles are bars, or sectors are slices: numbers that agree with what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from hopchain_etl.engines.vision.charts.families import Family, Piece
from hopchain_etl.engines.vision.charts.readings import READ, Label, Scale

SLACK = 2.5  # px that the end of a bar may be away from its value
GROWING = 0.015  # of the length, likewise
VALUES = 3  # least number of printed values that agree with lengths
MOST = 0.6  # least share of the printed values that agree
DIFFERENT = 1.15  # ratio of the longest to the shortest length that agrees: equal values prove nothing
BESIDE = 1.6  # heights of a text that a value may be beyond the end of its bar
TELLS = 3.0  # a misread last digit must change the length by so many times the tolerance

RECIPE = [SLACK, GROWING, VALUES, MOST, DIFFERENT, BESIDE, TELLS]


class Value(NamedTuple):
    """A printed value: its label, and whether its reading is sure."""

    label: Label
    is_sure: bool


class Measured(NamedTuple):
    """A length (or angle) with the labels that may print its value, and how exactly it is measured."""

    length: float
    labels: tuple[Label, ...]
    slack: float


def agreed(things: Sequence[Measured], per_length: float | None = None) -> dict[int, Value]:
    """Return by place the printed values that agree with the lengths; empty if too few do.

    ``per_length`` is the value of a unit of length, if it is known; otherwise it is what most values agree on.
    """
    if per_length is not None:
        return _agreeing(things, per_length)
    rates = [label.number.value / one.length for one in things for label in one.labels if label.number and one.length]
    best: dict[int, Value] = {}
    for rate in rates:
        on = _agreeing(things, rate) if rate > 0 else {}
        if len(on) > len(best):
            best = on
    lengths = [things[n].length for n in best]
    labelled = sum(bool(one.labels) for one in things)
    if len(best) < max(VALUES, MOST * labelled) or max(lengths) < DIFFERENT * min(lengths):
        return {}
    return best


def _agreeing(things: Sequence[Measured], rate: float) -> dict[int, Value]:
    """Return for each thing the one label that agrees with it, if exactly one does."""
    found = {}
    for place, one in enumerate(things):
        on = []
        for label in one.labels:
            assert label.number
            slack = one.slack + label.number.step / rate / 2
            if abs(abs(label.number.value) / rate - one.length) <= slack:
                tells = label.number.step / rate >= TELLS * one.slack
                on.append(Value(label, label.is_sure or tells))
        if len(on) == 1:
            found[place] = on[0]
    used = [value.label for value in found.values()]
    return {place: value for place, value in found.items() if used.count(value.label) == 1}


def lengths(family: Family, labels: Sequence[Label]) -> list[Measured]:
    """Return the pieces of a family, in order, with the numbers on them or just beyond their ends."""
    numbers = [one for one in labels if one.number and one.score >= READ]
    return [
        Measured(
            piece.length,
            tuple(label for label in numbers if _belongs(label, piece, outermost=piece is stack[-1])),
            SLACK + GROWING * piece.length,
        )
        for stack in family.stacks
        for piece in stack
    ]


def _belongs(label: Label, piece: Piece, *, outermost: bool) -> bool:
    """Return whether a number is on a bar or just beyond its end, in its own column (row)."""
    axis, across = piece.axis, 1 - piece.axis
    if abs(label.centre[across] - piece.middle) > max(3.0, 0.3 * piece.thickness):
        return False
    low, high = sorted((piece.start, piece.end))
    if low <= label.centre[axis] <= high:
        return True
    beyond = label.box[axis] - high if piece.end > piece.start else low - label.box[axis + 2]
    return outermost and -label.height <= beyond <= BESIDE * label.height


def scale_of(family: Family, scales: Sequence[Scale]) -> Scale | None:
    """Return the scale along which a family's bars grow, if there is one only; the baseline must be one of its ticks.

    Its labels lie beside the bars, and it reaches about as far as they do.
    """
    axis, across = family.axis, 1 - family.axis
    hull = family.hull
    fitting = []
    for scale in scales:
        if scale.axis != axis or scale.per_px <= 0:
            continue
        sides = [tick.centre[across] for tick in scale.ticks]
        beside = max(sides) < hull[across] or min(sides) > hull[across + 2]
        places = [tick.centre[axis] for tick in scale.ticks]
        pitch = min(abs(a - b) for a, b in combinations(places, 2))
        low, high = min(*places, scale.zero) - 1.2 * pitch, max(*places, scale.zero) + 1.2 * pitch
        reaches = low <= hull[axis] and hull[axis + 2] <= high
        grounded = min(abs(place - family.baseline) for place in (*places, scale.zero)) <= SLACK
        if beside and reaches and grounded:
            fitting.append(scale)
    return fitting[0] if len(fitting) == 1 else None
