"""find_elements: all parts of the charts and tables in an image, and which lines of text label an axis."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hopchain_etl.engines.vision.certainty import Candidate
from hopchain_etl.engines.vision.charts import (
    axis_labels,
    bars,
    doubts,
    evidence,
    families,
    legends,
    pies,
    readings,
    regions,
    tables,
)
from hopchain_etl.engines.vision.charts.elements import BAR, ENTRY, PATCH, SLICE, TICK, VALUE, Element
from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.charts.regions import Pixels, Region, is_alike

REVISION = 1
LINES = 3  # of text; fewer can confirm nothing
LARGEST_PX = 4_000_000  # of a picture that is searched; regions are held as pixels
_MODULES = (axis_labels, doubts, evidence, families, legends, pies, readings, regions, tables)
RECIPE = {
    "revision": [REVISION, LINES, LARGEST_PX],
    "thresholds": hashlib.sha256(repr([one.RECIPE for one in _MODULES]).encode()).hexdigest()[:12],
}


class Found(NamedTuple):
    """What is in an image: its parts, and the roles of lines of text that label an axis, a bar or a patch."""

    elements: list[Element]
    roles: dict[Candidate, str]


def find_elements(rgb: Pixels, texts: Sequence[Candidate]) -> Found:
    """Return the parts of all charts and tables in an image of shape (h, w, 3), by the lines of text that OCR read.

    Those that are certain are disjoint. An uncertain one may be there, or be something else. A photo has none, and a
    picture of more than LARGEST_PX is not searched.
    """
    labels = {Label(one.box, one.text, one.score): one for one in texts if one.text}
    if len(labels) < LINES or rgb.shape[0] * rgb.shape[1] > LARGEST_PX:
        return Found([], {})
    lines = list(labels)
    found = regions.find_regions(rgb)
    scales = [scale for axis in (0, 1) for scale in readings.find_scales(lines, axis)]
    charts = bars.confirmed(families.find_families(found, rgb), scales, lines)
    shown = [element for chart in charts for element in bars.bar_elements(chart, lines)]
    groups = legends.find_legends(found, lines)
    shown += _slices(found, lines, groups, rgb)
    roles = [(tick, TICK) for chart in charts if chart.scale for tick in chart.scale.ticks]
    roles += [(value.label, VALUE) for chart in charts for value in chart.values.values()]
    if shown:
        groups = [group for group in _free(groups, shown) if legends.legend_elements(group, shown, lines)]
        shown += [element for group in groups for element in legends.legend_elements(group, shown, lines)]
        roles += [(patch.entry, ENTRY) for group in groups for patch in group]
        shown = _with_series(shown)
        known = [one.box for one in _certain(found, shown)] + [legends.area(group) for group in groups]
        ticks = [tick.box for chart in charts if chart.scale for tick in chart.scale.ticks]
        shown += [one for chart in charts for one in doubts.unexplained(rgb, chart.family, ticks, known, lines)]
        shown += [one for chart in charts for one in doubts.unmarked(rgb, chart.family, ticks)]
    shown += tables.find_cells(_others(found, shown), lines, rgb)
    return Found(shown, {labels[label]: role for label, role in roles})


def _slices(
    found: Sequence[Region], labels: Sequence[Label], groups: Sequence[Sequence[legends.Patch]], rgb: Pixels
) -> list[Element]:
    """Return the slices of all pies."""
    shown = []
    for pie in pies.find_pies(found, rgb.shape[1], rgb.shape[0]):
        keyed = any(
            len(group) >= 3
            and all(any(is_alike(one.region.colour, patch.region.colour) for patch in group) for one in pie.sectors)
            for group in groups
        )
        shown += pies.slice_elements(pie, labels, keyed)
    return shown


def _free(groups: Sequence[list[legends.Patch]], shown: Sequence[Element]) -> list[list[legends.Patch]]:
    """Return the legends whose patches are not on bars or slices."""
    sure = [one for one in shown if one.certain]
    return [group for group in groups if not any(_lies_on(patch.region, one) for patch in group for one in sure)]


def _lies_on(region: Region, part: Element) -> bool:
    """Return whether the middle of a region is a pixel of a part."""
    x, y = (region.box[0] + region.box[2]) / 2, (region.box[1] + region.box[3]) / 2
    column, row = int(x) - part.shape.left, int(y) - part.shape.top
    high, wide = part.shape.mask.shape
    return 0 <= row < high and 0 <= column < wide and bool(part.shape.mask[row, column])


def _with_series(shown: Sequence[Element]) -> list[Element]:
    """Return the parts with the entry of the legend that has their colour, if all that have it say the same."""
    patches = [one for one in shown if one.category == PATCH and one.certain and one.colour]
    named = []
    for one in shown:
        entries = {p.text for p in patches if one.colour and p.colour and is_alike(one.colour, p.colour)}
        entry = entries.pop() if len(entries) == 1 and one.certain and one.category != PATCH else None
        named.append(replace(one, names={**one.names, "series": entry}) if entry else one)
    return named


def _certain(found: Sequence[Region], shown: Sequence[Element]) -> list[Region]:
    """Return the regions that are certain parts."""
    return [one for one in found if any(part.certain and _covers(part, one) for part in shown)]


def _others(found: Sequence[Region], shown: Sequence[Element]) -> list[Region]:
    return [
        one for one in found if not any(_covers(part, one) for part in shown if part.category in (BAR, SLICE, PATCH))
    ]


def _covers(part: Element, region: Region) -> bool:
    a, b = part.box, region.box
    return a[0] <= b[0] + 1 and a[1] <= b[1] + 1 and a[2] >= b[2] - 1 and a[3] >= b[3] - 1
