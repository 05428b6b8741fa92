from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.charts.regions import find_regions
from hopchain_etl.engines.vision.charts.tables import find_cells


def table(*, missing: bool = False) -> tuple[np.ndarray, list[Label]]:
    image = Image.new("RGB", (420, 200), "white")
    canvas = ImageDraw.Draw(image)
    labels = []
    for row in range(4):
        for column in range(3):
            x, y = 30 + 120 * column, 20 + 40 * row
            canvas.rectangle((x, y, x + 120, y + 40), outline="black")
            labels.append(Label((x + 30, y + 12, x + 80, y + 28), f"{row}{column}5", 0.99))
    if missing:  # one cell spans two columns
        canvas.line((150, 61, 150, 99), fill="white")
    return np.asarray(image), labels


def test_each_cell_has_its_text() -> None:
    rgb, labels = table()
    cells = find_cells(find_regions(rgb), labels, rgb)
    assert [one.text for one in cells] == [label.text for label in labels]
    assert all(one.certain for one in cells)


def test_joined_cells_and_text_across_a_rule_make_no_table() -> None:
    rgb, labels = table(missing=True)
    assert find_cells(find_regions(rgb), labels, rgb) == []
    rgb, labels = table()
    across = Label((100, 72, 200, 88), "far too long", 0.99)
    assert find_cells(find_regions(rgb), [*labels, across], rgb) == []


def test_tiles_without_rules_make_no_table() -> None:
    image = Image.new("RGB", (420, 300), "white")
    canvas = ImageDraw.Draw(image)
    labels = []
    for row in range(2):
        for column in range(3):
            x, y = 20 + 126 * column, 20 + 126 * row
            canvas.rectangle((x, y, x + 119, y + 119), fill=(200, 210, 230))
            labels.append(Label((x + 30, y + 50, x + 80, y + 66), f"{row}{column}5", 0.99))
    rgb = np.asarray(image)
    assert find_cells(find_regions(rgb), labels, rgb) == []
