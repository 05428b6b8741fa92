from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hopchain_etl.engines.vision.charts.pies import find_pies, slice_elements
from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.charts.regions import find_regions

COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14))


def pie(*shares: int, hole: int = 0) -> np.ndarray:
    image = Image.new("RGB", (400, 400), "white")
    canvas, start = ImageDraw.Draw(image), -20.0
    for share, colour in zip(shares, COLOURS, strict=False):
        canvas.pieslice((60, 60, 340, 340), start, start + 3.6 * share, fill=colour)
        start += 3.6 * share
    if hole:
        canvas.ellipse((200 - hole, 200 - hole, 200 + hole, 200 + hole), fill="white")
    return np.asarray(image)


@pytest.mark.parametrize("hole", [0, 70])
def test_shares_are_measured(hole: int) -> None:
    (found,) = find_pies(find_regions(pie(50, 30, 15, 5, hole=hole)), 400, 400)
    assert sorted(one.share for one in found.sectors) == pytest.approx([0.05, 0.15, 0.3, 0.5], abs=0.006)
    assert found.hole == pytest.approx(hole, abs=3)
    assert not found.gaps


def test_percentages_must_agree_with_the_angles() -> None:
    (found,) = find_pies(find_regions(pie(50, 30, 20)), 400, 400)

    def labels(*texts: str) -> list[Label]:
        middles = [np.radians(-20 + 3.6 * at) for at in (25, 65, 90)]
        places = [(200 + 80 * np.cos(turn), 200 + 80 * np.sin(turn)) for turn in middles]
        return [Label((x - 15, y - 7, x + 15, y + 7), text, 0.99) for (x, y), text in zip(places, texts, strict=True)]

    right = slice_elements(found, labels("50%", "30%", "20%"), in_legend=False)
    assert sorted((one.text or "", one.certain) for one in right) == [("20%", True), ("30%", True), ("50%", True)]
    assert slice_elements(found, labels("30%", "50%", "35%"), in_legend=False) == []
    misread = slice_elements(found, labels("50%", "30%", "26%"), in_legend=False)
    assert sorted(one.text or "" for one in misread) == ["", "30%", "50%"]


def test_a_striped_disc_is_no_pie() -> None:
    image = Image.new("RGB", (400, 400), "white")
    canvas = ImageDraw.Draw(image)
    canvas.ellipse((60, 60, 340, 340), fill=COLOURS[0])
    disc = np.asarray(image).copy()
    disc[180:220][(disc[180:220] == COLOURS[0]).all(axis=2)] = COLOURS[1]
    assert find_pies(find_regions(disc), 400, 400) == []
