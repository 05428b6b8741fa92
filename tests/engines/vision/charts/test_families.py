from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from hopchain_etl.engines.vision.charts.families import Family, find_families
from hopchain_etl.engines.vision.charts.regions import find_regions

BLUE, RED = (31, 119, 180), (214, 39, 40)


def families(
    *boxes: tuple[int, int, int, int], colours: tuple[tuple[int, int, int], ...] = (), grid: int = 0
) -> list[Family]:
    image = Image.new("RGB", (500, 400), "white")
    canvas = ImageDraw.Draw(image)
    for n, (x1, y1, x2, y2) in enumerate(boxes):
        canvas.rectangle((x1, y1, x2 - 1, y2 - 1), fill=colours[n] if colours else BLUE)
    for y in range(60, 350, grid) if grid else ():
        canvas.line((0, y, 500, y), fill=(180, 180, 180))
    rgb = np.asarray(image)
    return find_families(find_regions(rgb), rgb)


def test_bars_on_a_line_are_one_family() -> None:
    (family,) = families((50, 100, 90, 350), (120, 200, 160, 350), (190, 300, 230, 350))
    assert (family.axis, family.baseline) == (1, 350)
    assert [piece.length for piece in family.pieces] == [250, 150, 50]


def test_lying_bars_grow_to_the_right() -> None:
    (family,) = families((50, 40, 300, 70), (50, 100, 120, 130))
    assert family.axis == 0
    assert [piece.end for piece in family.pieces] == [300, 120]


def test_equal_tiles_are_none() -> None:
    assert families((50, 100, 90, 200), (120, 100, 160, 200), (190, 100, 230, 200)) == []


def test_bars_are_whole_below_grid_lines_and_the_background_is_none() -> None:
    (family,) = families((50, 100, 90, 350), (120, 200, 160, 350), (190, 300, 230, 350), grid=45)
    assert [piece.length for piece in family.pieces] == [250, 150, 50]


def test_pieces_stand_upon_each_other() -> None:
    boxes = (50, 200, 90, 350), (50, 120, 90, 200), (120, 300, 160, 350), (120, 150, 160, 300)
    family = families(*boxes, colours=(BLUE, RED, BLUE, RED))[0]
    assert family.is_stacked
    assert [[piece.length for piece in stack] for stack in family.stacks] == [[150, 80], [50, 150]]
