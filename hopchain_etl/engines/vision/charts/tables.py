"""Cells of simple tables: a grid of straight rules, with one line of text in a cell at most."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision import masks
from hopchain_etl.engines.vision.charts.elements import CELL, Element
from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.charts.regions import Pixels, Region
from hopchain_etl.engines.vision.masks import Box

LEAST = 2  # rows and columns
RULE = 8.0  # px, thickest rule between two cells
LEVEL = 2.0  # px by which the edges of a row or column may differ
FULL = 0.5  # least share of the cells with text
SIDE = 12.0  # px, shorter side of a cell
TALL = 6.0  # heights of the text: taller cells are tiles or panels

RECIPE = [LEAST, RULE, LEVEL, FULL, SIDE, TALL]


def find_cells(regions: Sequence[Region], labels: Sequence[Label], rgb: Pixels) -> list[Element]:
    """Return the cells of ruled tables.

    A cell is the filled area between rules. All cells of a table must be there: rows times columns, each row of one
    height and each column of one width; every text must lie in one cell.
    """
    found: list[Element] = []
    parts = [one for one in regions if one.is_rectangle and min(_sides(one.box)) >= SIDE]
    for group in _adjacent(parts):
        if _is_table(group, labels) and _is_ruled(group, rgb):
            found += [_cell(one, labels) for one in sorted(group, key=lambda one: (one.box[1], one.box[0]))]
    return found


def _sides(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _adjacent(parts: Sequence[Region]) -> list[list[Region]]:
    """Return groups of rectangles that share a row or column and are no more than a rule apart."""
    groups: list[set[int]] = []
    for n, one in enumerate(parts):
        near = {m for m in range(n) if _are_neighbours(one.box, parts[m].box)}
        joined = [group for group in groups if group & near]
        groups = [group for group in groups if not group & near] + [set().union({n}, *joined)]
    return [[parts[n] for n in sorted(group)] for group in groups if len(group) >= LEAST * LEAST]


def _are_neighbours(a: Box, b: Box) -> bool:
    for axis in (0, 1):
        other = 1 - axis
        level = abs(a[other] - b[other]) <= LEVEL and abs(a[other + 2] - b[other + 2]) <= LEVEL
        apart = max(a[axis] - b[axis + 2], b[axis] - a[axis + 2])
        if level and 0 <= apart <= RULE:
            return True
    return False


def _is_table(group: Sequence[Region], labels: Sequence[Label]) -> bool:
    """Return whether rectangles are all the cells of a table, and every text on it is in one of them."""
    rows = _edges([one.box[1] for one in group]), _edges([one.box[3] for one in group])
    columns = _edges([one.box[0] for one in group]), _edges([one.box[2] for one in group])
    if len(rows[0]) != len(rows[1]) or len(columns[0]) != len(columns[1]):
        return False
    if min(len(rows[0]), len(columns[0])) < LEAST or len(group) != len(rows[0]) * len(columns[0]):
        return False
    x1, y1, x2, y2 = columns[0][0], rows[0][0], columns[1][-1], rows[1][-1]
    mine = [one for one in labels if _share(one.box, (x1, y1, x2, y2)) > 0]
    cells = [[one for one in mine if _share(one.box, cell.box) > 0.02] for cell in group]
    whole = all(_share(one.box, cell.box) > 0.9 for cell, texts in zip(group, cells, strict=True) for one in texts)
    full = [texts for texts in cells if texts]
    if not full or len(full) < FULL * len(group) or sum(map(len, cells)) != len(mine) or not whole:
        return False
    height = float(np.median([one.height for one in mine]))
    return all(_sides(cell.box)[1] <= TALL * height for cell in group)


def _edges(values: Sequence[float]) -> list[float]:
    """Return the distinct edges, those within LEVEL px as one."""
    ordered = sorted(values)
    return [ordered[0], *(b for a, b in pairwise(ordered) if b - a > LEVEL)]


def _is_ruled(group: Sequence[Region], rgb: Pixels) -> bool:
    """Return whether between neighbours there is always a rule, of another colour than both."""
    edges = [np.asarray(one.box) for one in group]
    for n, a in enumerate(edges):
        for m, b in enumerate(edges):
            for axis in (0, 1):
                if n != m and abs(a[1 - axis] - b[1 - axis]) <= LEVEL and 0 <= b[axis] - a[axis + 2] <= RULE:
                    strip = _strip(rgb, a, b, axis)
                    if not strip.size:
                        return False
                    apart = [
                        np.abs(strip - np.asarray(group[k].colour)).max(axis=2).max(axis=axis_of(axis)) for k in (n, m)
                    ]
                    if min(float((one > 24).mean()) for one in apart) < 0.97:
                        return False
    return True


def axis_of(axis: int) -> int:
    """Return the axis of an image array along which a rule between neighbours of an axis is thin."""
    return 1 - axis


def _strip(rgb: Pixels, a: NDArray[np.float64], b: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the pixels between two neighbours."""
    low, high = int(a[axis + 2]) - 1, int(b[axis]) + 1
    other = slice(int(a[1 - axis]) + 2, int(a[3 - axis]) - 2)
    part = rgb[other, low:high] if axis == 0 else rgb[low:high, other]
    return part.astype(np.float64)


def _share(text: Box, box: Box) -> float:
    """Return the share of a text that is in a box."""
    wide = min(text[2], box[2]) - max(text[0], box[0])
    high = min(text[3], box[3]) - max(text[1], box[1])
    return max(0.0, wide) * max(0.0, high) / max(1e-9, (text[2] - text[0]) * (text[3] - text[1]))


def _cell(one: Region, labels: Sequence[Label]) -> Element:
    """Return a cell, with its text if that is one line."""
    mine = [label for label in labels if _share(label.box, one.box) > 0.5]
    text = mine[0].text if len(mine) == 1 and mine[0].is_sure else None
    return Element(CELL, True, masks.rectangle(one.box, 10**6, 10**6), one.colour, text)
