"""The labels of bars on their axis: which word belongs to which bar or group of bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hopchain_etl.engines.vision.charts.elements import is_alone
from hopchain_etl.engines.vision.charts.families import Family
from hopchain_etl.engines.vision.charts.readings import Label

TOUCHING = 0.12  # of their thickness: bars that are nearer to each other are one group
ROW = 0.6  # heights of a text by which the labels of one row may differ
BELOW = 3.0  # heights of a text between the baseline and its labels
STEADY = 0.12  # of the distance of groups by which the places of labels may differ, and at least STEADY_PX
STEADY_PX = 5.0
LABELLED = 0.6  # least share of the groups that have labels

RECIPE = [TOUCHING, ROW, BELOW, STEADY, STEADY_PX, LABELLED]


def categories(family: Family, labels: Sequence[Label]) -> tuple[list[str | None], list[float]]:
    """Return the label of each bar on the axis, and the places (px) of labels in their row that have no bar.

    Bars that touch share a label. Labels are found by a place that is steady: their centres, or their right or left
    ends where they are turned.
    """
    groups = groups_of(family)
    nothing: list[str | None] = [None] * len(family.stacks)
    row = _row(family, labels)
    if len(groups) < 2 or not row:
        return nothing, []
    across = 1 - family.axis
    centres = [float(np.mean([family.stacks[n][0].middle for n in group])) for group in groups]
    pitch = min(b - a for a, b in pairwise(centres))
    best: tuple[float, dict[int, Label], list[float], bool] | None = None
    for side in (0.5, 1.0, 0.0):
        places = [one.box[across] + side * (one.box[across + 2] - one.box[across]) for one in row]
        matched, offset, spread = _matched(centres, places, pitch, centred=side == 0.5)
        if len(matched) >= LABELLED * len(groups) and spread <= max(STEADY_PX, STEADY * pitch):
            found = {group: row[n] for group, n in matched.items()}
            if best is None or (len(found), -spread) > (len(best[1]), -best[0]):
                slots = [place - offset for n, place in enumerate(places) if n not in matched.values()]
                best = spread, found, slots, side != 0.5
    if best is None:
        return nothing, []
    _, found, slots, turned = best
    names = list(nothing)
    most = max(map(len, groups))
    fewer = [centre for group, centre in zip(groups, centres, strict=True) if len(group) < most]
    others = [one for one in labels if one not in found.values()]
    for group, label in found.items():
        for n in groups[group] if label.is_sure and (turned or is_alone(label, others)) else ():
            names[n] = label.text
    low, high = centres[0] - 1.2 * pitch, centres[-1] + 1.2 * pitch
    return names, fewer + [
        slot for slot in slots if low <= slot <= high and min(abs(slot - centre) for centre in centres) > 0.5 * pitch
    ]


def groups_of(family: Family) -> list[list[int]]:
    """Return the numbers of the bars of each group, in order."""
    groups: list[list[int]] = []
    for n, (foot, *_) in enumerate(family.stacks):
        before = family.stacks[n - 1][0] if n else None
        near = before and foot.middle - before.middle - foot.thickness <= TOUCHING * foot.thickness
        if near and groups:
            groups[-1].append(n)
        else:
            groups.append([n])
    if len(groups) == 1:  # a histogram: each bar for itself
        return [[n] for n in groups[0]]
    return groups


def pitch_of(family: Family) -> float:
    """Return the least distance between the groups of a family's bars, px; the thickness if there is one group."""
    centres = [family.stacks[group[0]][0].middle for group in groups_of(family)]
    return min((b - a for a, b in pairwise(centres)), default=family.stacks[0][0].thickness)


def _row(family: Family, labels: Sequence[Label]) -> list[Label]:
    """Return the labels in the row (column) directly beyond the baseline, on the side where no bars are."""
    axis = family.axis
    outward = family.stacks[0][0].end > family.stacks[0][0].start

    def gap(one: Label) -> float:
        return family.baseline - one.box[axis + 2] if outward else one.box[axis] - family.baseline

    near = [one for one in labels if -0.5 * one.height <= gap(one)]
    if not near:
        return []
    low, high = family.hull[1 - axis], family.hull[3 - axis]
    wide = 1.5 * pitch_of(family)
    near = [one for one in near if low - wide <= one.centre[1 - axis] <= high + wide or axis == 1]
    if axis == 0:  # beside lying bars, words of any length end near the baseline
        first = min((gap(one) for one in near), default=0.0)
        return [one for one in near if gap(one) <= first + 4 * one.height]
    first = min(gap(one) for one in near)
    height = float(np.median([one.height for one in near if gap(one) <= first + one.height]))
    row = [one for one in near if gap(one) <= first + ROW * height]
    return row if first <= BELOW * height else []


def _matched(
    centres: Sequence[float], places: Sequence[float], pitch: float, *, centred: bool
) -> tuple[dict[int, int], float, float]:
    """Return which label is nearest to each centre, one to one.

    Also their common offset, and the largest difference from it.
    """
    offsets = [place - centre for place in places for centre in centres if abs(place - centre) <= 0.5 * pitch]
    if not offsets:
        return {}, 0.0, 0.0
    best: dict[int, int] = {}
    middle = 0.0
    limit = max(STEADY_PX, STEADY * pitch)
    for offset in sorted(set(offsets), key=abs):
        if centred and abs(offset) > 0.2 * pitch:
            break
        matched: dict[int, int] = {}
        for group, centre in enumerate(centres):
            on = [n for n, place in enumerate(places) if abs(place - centre - offset) <= limit / 2]
            if len(on) == 1:
                matched[group] = on[0]
        if len(matched) > len(best) and len(set(matched.values())) == len(matched):
            best, middle = matched, offset
    spread = max((abs(places[n] - centres[group] - middle) for group, n in best.items()), default=0.0)
    return best, middle, spread
