"""Legend patches: equal small areas in a column or a row, each with its entry to the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hopchain_etl.engines.vision.charts.elements import PATCH, Element, is_alone
from hopchain_etl.engines.vision.charts.readings import READ, Label
from hopchain_etl.engines.vision.charts.regions import Region, is_alike
from hopchain_etl.engines.vision.masks import Box

LOW, HIGH, LONG = 0.3, 2.2, 6.0  # heights of its text: least and largest height of a patch, and largest width
BESIDE = 2.5  # heights of the text between a patch and its entry
LEVEL = 0.4  # likewise, between their middles
EQUAL = 2.5  # px by which the sizes of patches and their edges in a column or row may differ
COMPACT = 0.7  # share of its box that a patch covers; a disc .785

RECIPE = [LOW, HIGH, LONG, BESIDE, LEVEL, EQUAL, COMPACT]


class Patch(NamedTuple):
    """A patch with its entry."""

    region: Region
    entry: Label


def find_legends(regions: Sequence[Region], labels: Sequence[Label]) -> list[list[Patch]]:
    """Return the patches in groups, each of equal size in one column or row; a chart with one colour has one patch."""
    patches = [patch for region in regions if (patch := _patch(region, labels))]
    groups: list[list[Patch]] = []
    for edge in (0, 1):  # a column by left edges, a row by upper edges
        for patch in sorted(patches, key=lambda one: one.region.box[1 - edge]):
            for group in groups:
                if patch not in group and all(_are_equal(patch, other, edge) for other in group):
                    group.append(patch)
            if not any(patch in group for group in groups):
                groups.append([patch])
    groups = [group for group in groups if len({id(one.entry) for one in group}) == len(group)]
    groups.sort(key=len, reverse=True)
    kept: list[list[Patch]] = []
    for group in groups:
        if not any(patch in other for patch in group for other in kept):
            kept.append(group)
    return kept


def _patch(region: Region, labels: Sequence[Label]) -> Patch | None:
    x1, y1, x2, y2 = region.box
    if region.fill < COMPACT or min(x2 - x1, y2 - y1) < 5:
        return None
    beside = []
    for one in labels:
        high, gap = one.height, one.box[0] - x2
        level = abs(one.centre[1] - (y1 + y2) / 2) <= LEVEL * high
        sized = LOW * high <= y2 - y1 <= HIGH * high and x2 - x1 <= LONG * high
        if one.score >= READ and level and sized and -1 <= gap <= BESIDE * high:
            beside.append(one)
    return Patch(region, beside[0]) if len(beside) == 1 else None


def _are_equal(one: Patch, other: Patch, edge: int) -> bool:
    a, b = one.region.box, other.region.box
    same = abs(a[2] - a[0] - b[2] + b[0]) <= EQUAL and abs(a[3] - a[1] - b[3] + b[1]) <= EQUAL
    return same and abs(a[edge] - b[edge]) <= EQUAL and not is_alike(one.region.colour, other.region.colour)


def legend_elements(group: Sequence[Patch], shown: Sequence[Element], labels: Sequence[Label]) -> list[Element]:
    """Return the patches of a legend: certain if every colour is that of a certain part of the chart.

    A single patch of another colour is none.
    """
    colours = [one.colour for one in shown if one.certain and one.colour]
    certain = all(any(is_alike(patch.region.colour, colour) for colour in colours) for patch in group)
    if len(group) == 1 and not certain:
        return []
    entries = {id(patch.entry) for patch in group}
    others = [one for one in labels if id(one) not in entries]
    return [
        Element(
            PATCH,
            certain,
            patch.region.shape,
            patch.region.colour,
            patch.entry.text if certain and patch.entry.is_sure and is_alone(patch.entry, others, first=True) else None,
        )
        for patch in group
    ]


def area(group: Sequence[Patch]) -> Box:
    """Return the box of a legend with its frame, which is at most a text's height away, xyxy px."""
    boxes = [box for patch in group for box in (patch.region.box, patch.entry.box)]
    rim = max(patch.entry.height for patch in group)
    low = min(box[0] for box in boxes) - rim, min(box[1] for box in boxes) - rim
    return *low, max(box[2] for box in boxes) + rim, max(box[3] for box in boxes) + rim
