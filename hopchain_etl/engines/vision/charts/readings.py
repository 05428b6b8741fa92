"""Lines of text as charts use them: numbers with their units, and scales of tick labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from hopchain_etl.engines.vision import ocr
from hopchain_etl.engines.vision.masks import Box

READ = 0.8  # least score of a line that counts as text at all
TICKS = 3  # least number of labels of a scale
ALIGNED = 4.0  # px between the edges of labels of one scale
OFF = 2.5  # px that a tick label may be away from its place on the scale
AGREE = 0.75  # least share of the numbers in a column, from the first to the last tick, that lie on the scale

RECIPE = [READ, TICKS, ALIGNED, OFF, AGREE]

_NUMBER = re.compile(
    r"(?P<sign>[-−–]?)\s?(?P<money>[$€£¥]?)\s?(?P<whole>\d{1,3}(?:,\d{3})+|\d{1,12})(?P<part>\.\d{1,6})?\s?(?P<unit>[a-zA-Z°%]{0,3})"
)
_THOUSANDS = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "mn": 1e6, "B": 1e9, "bn": 1e9}


class Number(NamedTuple):
    """A number that was read: its value with its unit's thousands, and what one more in its last digit is worth."""

    value: float
    step: float
    unit: str


@dataclass(frozen=True)
class Label:
    """A line of text: box xyxy in px, what it says, and the score of the reading in [0, 1]."""

    box: Box
    text: str
    score: float

    @property
    def centre(self) -> tuple[float, float]:
        """Px."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def height(self) -> float:
        """Px."""
        return self.box[3] - self.box[1]

    @property
    def is_sure(self) -> bool:
        """Whether the reading can be relied on by itself."""
        return ocr.is_sure(self.text, self.score)

    @cached_property
    def number(self) -> Number | None:
        """The number that the whole line is, if it is one."""
        return parse_number(self.text)


def parse_number(text: str) -> Number | None:
    """Return the number that a text is: "12", "-3.5 %", "$1,200", "2100k"; None if it is none or more than one."""
    match = _NUMBER.fullmatch(text.strip())
    if not match:
        return None
    part = match["part"] or ""
    worth = _THOUSANDS.get(match["unit"], 1.0)
    value = float(match["whole"].replace(",", "") + part) * worth
    step = worth * 10.0 ** -max(0, len(part) - 1)
    return Number(-value if match["sign"] else value, step, match["money"] + match["unit"])


@dataclass(frozen=True)
class Scale:
    """Tick labels whose numbers grow evenly along an axis (0: to the right, 1: upwards), and where zero lies, px."""

    axis: int
    zero: float
    per_px: float  # growth of the value to the right, or upwards
    ticks: tuple[Label, ...]

    def value(self, place: float) -> float:
        """Return the value at a place in px."""
        return (place - self.zero if self.axis == 0 else self.zero - place) * self.per_px

    def place(self, value: float) -> float:
        """Return the place of a value in px."""
        return self.zero + (value / self.per_px if self.axis == 0 else -value / self.per_px)


def find_scales(labels: Iterable[Label], axis: int) -> list[Scale]:
    """Return the scales along an axis: columns (axis 1) or rows (axis 0) of numbers that grow evenly."""
    numbers = [one for one in labels if one.number and one.score >= READ]
    found: dict[frozenset[Label], Scale] = {}
    for side in (1.0, 0.5, 0.0) if axis else (0.5,):  # flush right, centred, flush left
        edges = [one.box[1 - axis] + side * (one.box[3 - axis] - one.box[1 - axis]) for one in numbers]
        for group in _aligned(numbers, edges):
            while scale := _fitted(group, axis):  # charts below each other have a scale each
                found.setdefault(frozenset(scale.ticks), scale)
                group = [one for one in group if one not in scale.ticks]
    scales = sorted(found.values(), key=lambda one: (-len(one.ticks), one.zero))
    return [one for n, one in enumerate(scales) if not any(set(one.ticks) <= set(big.ticks) for big in scales[:n])]


def _aligned(labels: Sequence[Label], edges: Sequence[float]) -> list[list[Label]]:
    """Return groups of labels whose edges follow each other closely."""
    groups: list[list[Label]] = []
    last = float("-inf")
    for edge, one in sorted(zip(edges, labels, strict=True), key=lambda pair: (pair[0], pair[1].box)):
        if edge - last > ALIGNED:
            groups.append([])
        groups[-1].append(one)
        last = edge
    return [group for group in groups if TICKS <= len(group) <= 40]


def _fitted(group: Sequence[Label], axis: int) -> Scale | None:
    """Return the scale that most labels of a group lie on."""
    points = [(one.centre[axis], one.number.value, one) for one in group if one.number]
    best: list[tuple[float, float, Label]] = []
    for (p, v, _), (q, w, _) in combinations(points, 2):
        if abs(p - q) < OFF or v == w:
            continue
        per_px = (w - v) / (q - p)
        on = [point for point in points if abs((point[1] - v) / per_px - (point[0] - p)) <= OFF]
        if len({value for _, value, _ in on}) == len(on) > len(best):
            best = on
    low, high = (min(best)[0], max(best)[0]) if best else (0.0, 0.0)
    if len(best) < max(TICKS, AGREE * sum(low <= place <= high for place, *_ in points)):
        return None
    (p, v, _), (q, w, _) = min(best), max(best)
    growth = (w - v) / (q - p)
    per_px = growth if axis == 0 else -growth
    zero = p - v / growth
    return Scale(axis, zero, per_px, tuple(one for *_, one in sorted(best)))
