"""Whole images: drawn charts in many styles, in which nothing certain may be wrong, and what is no chart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hopchain_etl.engines.vision.certainty import Candidate
from hopchain_etl.engines.vision.charts.find import find_elements
from hopchain_etl.scenes import KINDS as SCENES
from hopchain_etl.scenes import draw
from support.drawn_charts import KINDS, Drawn, Kind, draw_chart, overlap

SEEDS = 5


def faults(drawn: Drawn) -> tuple[list[str], Counter[str]]:
    """What certain elements say that is not so, and how much of the truth was found, by category."""
    wrong, found = [], Counter[str]()
    for one in find_elements(drawn.rgb, drawn.lines).elements:
        if not one.certain:
            continue
        part = max(drawn.parts, key=lambda part: (part.category == one.category) * overlap(part.box, one.box))
        slack = 0.8 if min(part.box[2] - part.box[0], part.box[3] - part.box[1]) > 16 else 0.6  # an edge px weighs more
        if part.category != one.category or overlap(part.box, one.box) < slack:
            wrong.append(f"{one.category} at {one.box}")
        elif one.text not in (None, part.text) or any(part.names.get(key) != name for key, name in one.names.items()):
            wrong.append(f"{one.text} {dict(one.names)}, not {part}")
        found[one.category] += 1
    return wrong, found


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_certain_is_wrong_and_most_is_found(kind: Kind) -> None:
    true, found = Counter[str](), Counter[str]()
    for seed in range(SEEDS):
        drawn = draw_chart(kind, seed)
        wrong, seen = faults(drawn)
        assert wrong == [], f"{kind}/{seed}"
        true.update(part.category for part in drawn.parts)
        found.update(seen)
    assert all(found[category] >= 0.8 * count for category, count in true.items()), (true, found)


@pytest.mark.parametrize("kind", sorted({*SCENES} - {"bars"}))
def test_other_drawn_scenes_have_no_parts_of_charts(kind: str) -> None:
    scene = draw(kind, 1)
    lines = [Candidate("text", 0.99, one.box, one.text) for one in scene.texts]
    certain = [one for one in find_elements(np.asarray(scene.image), lines).elements if one.certain]
    assert [one.category for one in certain] == []


@pytest.mark.parametrize("seed", range(6))
def test_striped_bars_are_whole(seed: int) -> None:
    scene = draw("bars", seed)
    lines = [Candidate("text", 0.99, one.box, one.text) for one in scene.texts]
    elements = find_elements(np.asarray(scene.image), lines).elements
    bars, doubts = ([one for one in elements if one.certain is certain] for certain in (True, False))
    true = [one for one in scene.instances if one.category == "bar"]
    assert all(max(overlap(one.box, other.box) for other in true) > 0.9 for one in bars)
    missing = [one for one in true if max(overlap(one.box, bar.box) for bar in bars) < 0.9]
    assert len(missing) <= 0.3 * len(true)  # those whose last stripe is too narrow to see
    assert all(max(overlap(one.box, doubt.box) for doubt in doubts) > 0.3 for one in missing)
    assert all(one.text in {text.text for text in scene.texts} and "label" in one.names for one in bars)


def test_bars_without_any_number_are_not_certain() -> None:
    drawn = draw_chart("bars", 0)
    words = [one for one in drawn.lines if not any(char.isdigit() for char in one.text or "")]
    assert find_elements(drawn.rgb, words).elements == []


def test_a_photo_has_no_parts_even_with_numbers_in_a_row() -> None:
    from skimage import data

    photo = data.chelsea()
    assert find_elements(photo, []).elements == []
    lines = [Candidate("text", 0.99, (20.0 + 60 * n, 30.0, 60.0 + 60 * n, 48.0), str(10 * n)) for n in range(5)]
    assert find_elements(photo, lines).elements == []


def test_a_bar_too_small_to_see_keeps_people_from_counting() -> None:
    image = Image.new("RGB", (700, 500), "white")
    canvas = ImageDraw.Draw(image)
    lines = []
    for n, value in enumerate((60, 45, 0, 80, 30)):
        x = 100 + 110 * n
        if value:
            canvas.rectangle((x, 420 - 4 * value, x + 59, 419), fill=(31, 119, 180))
            lines.append(
                Candidate("text", 0.99, (x + 20.0, 402.0 - 4 * value, x + 40.0, 416.0 - 4 * value), str(value))
            )
        lines.append(Candidate("text", 0.99, (x + 5.0, 430.0, x + 55.0, 446.0), f"Name{'abcde'[n]}"))
    canvas.line((60, 420, 680, 420), fill="black")
    bars = [one for one in find_elements(np.asarray(image), lines).elements if one.category == "bar"]
    assert [one.text for one in bars if one.certain] == ["60", "45", "80", "30"]
    assert [one.names["label"] for one in bars if one.certain] == ["Namea", "Nameb", "Named", "Namee"]
    (doubt,) = [one for one in bars if not one.certain and abs(one.box[0] - 320) < 8][:1]
    assert doubt.box[2] - doubt.box[0] == pytest.approx(60, abs=4)


def test_a_hatched_bar_keeps_people_from_counting() -> None:
    drawn = draw_chart("bars", 5)
    image, part = drawn.image.copy(), drawn.parts[1]
    canvas = ImageDraw.Draw(image)
    x1, y1, x2, y2 = (round(side) for side in part.box)
    canvas.rectangle((x1, y1, x2 - 1, y2 - 1), fill="white")
    for at in range(x1 - (y2 - y1), x2, 6):
        canvas.line(
            (max(at, x1), y2 - max(0, x1 - at), min(at + y2 - y1, x2), max(y1, y2 - (x2 - at))), fill="black", width=2
        )
    elements = find_elements(np.asarray(image), drawn.lines).elements
    assert not any(one.certain and overlap(one.box, part.box) > 0.5 for one in elements)
    assert any(not one.certain and one.category == "bar" and overlap(one.box, part.box) > 0.2 for one in elements)


def test_lines_of_text_get_their_roles() -> None:
    seed = next(
        seed
        for seed in range(30)
        if (d := draw_chart("grouped", seed)).ticks and d.parts[-1].category == "legend patch"
    )
    drawn = draw_chart("grouped", seed)
    roles = find_elements(drawn.rgb, drawn.lines).roles
    assert {one.text for one, role in roles.items() if role == "tick label"} == set(drawn.ticks)
    entries = {part.text for part in drawn.parts if part.category == "legend patch"}
    assert {one.text for one, role in roles.items() if role == "legend entry"} == entries
