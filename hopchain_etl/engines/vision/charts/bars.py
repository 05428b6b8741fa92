"""Bars of the families that numbers confirm, with values and labels; and what keeps them from being counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hopchain_etl.engines.vision import masks
from hopchain_etl.engines.vision.charts import evidence
from hopchain_etl.engines.vision.charts.axis_labels import categories
from hopchain_etl.engines.vision.charts.doubts import slot
from hopchain_etl.engines.vision.charts.elements import BAR, SEGMENT, Element
from hopchain_etl.engines.vision.charts.families import ON_LINE, Family, Piece
from hopchain_etl.engines.vision.charts.readings import Label, Scale
from hopchain_etl.engines.vision.masks import Box


class Confirmed(NamedTuple):
    """A family of bars with what confirms it: values by the place of a piece, and a scale if there is one."""

    family: Family
    values: dict[int, evidence.Value]
    scale: Scale | None


def confirmed(families: Sequence[Family], scales: Sequence[Scale], labels: Sequence[Label]) -> list[Confirmed]:
    """Return the families that a scale or printed values confirm, without those that share rectangles with a larger."""
    found: list[Confirmed] = []
    taken: set[int] = set()
    doubted: set[int] = set()
    for family in sorted(families, key=lambda one: (-len(one.pieces), -one.axis)):
        mine = {id(part) for piece in family.pieces for part in piece.parts}
        scale = evidence.scale_of(family, scales)
        rate = abs(scale.per_px) if scale else None
        ticks = set(scale.ticks) if scale else set()
        measured = evidence.lengths(family, [one for one in labels if one not in ticks])
        values = evidence.agreed(measured, rate)
        if not values and scale is None:
            continue
        if any(_share_line(family, one.family) for one in found):
            continue  # parts of the same bars, in a picture of low quality
        if mine & taken:
            doubted |= {
                n for n, one in enumerate(found) if one.family.axis != family.axis and _parts(one.family) & mine
            }
            continue
        taken |= mine
        found.append(Confirmed(family, values, scale))
    return [one for n, one in enumerate(found) if n not in doubted]


def _share_line(family: Family, other: Family) -> bool:
    """Return whether two families stand on one baseline among each other."""
    across = 1 - family.axis
    if family.axis != other.axis or abs(family.baseline - other.baseline) > ON_LINE:
        return False
    return max(family.hull[across], other.hull[across]) < min(family.hull[across + 2], other.hull[across + 2])


def _parts(family: Family) -> set[int]:
    return {id(part) for piece in family.pieces for part in piece.parts}


def bar_elements(one: Confirmed, labels: Sequence[Label]) -> list[Element]:
    """Return the bars of a family, or the segments of stacked ones and the whole bars as uncertain ones."""
    family = one.family
    ticks = one.scale.ticks if one.scale else ()
    names, unmatched = categories(family, [label for label in labels if label not in ticks])
    category = SEGMENT if family.is_stacked else BAR
    elements, place = [], 0
    for stack, name in zip(family.stacks, names, strict=True):
        for piece in stack:
            value = one.values.get(place)
            text = value.label.text if value and value.is_sure else None
            named = {"label": name} if name else {}
            elements.append(Element(category, True, piece.shape, piece.colour, text, named))
            place += 1
        if family.is_stacked:
            elements.append(Element(BAR, False, masks.rectangle(_around(stack), 10**6, 10**6)))
    return elements + [Element(BAR, False, masks.rectangle(slot(family, at), 10**6, 10**6)) for at in unmatched]


def _around(stack: Sequence[Piece]) -> Box:
    boxes = np.array([piece.box for piece in stack])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
