from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from hopchain_etl.engines.vision.charts.elements import Element
from hopchain_etl.engines.vision.charts.legends import find_legends, legend_elements
from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.charts.regions import find_regions

COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44))


def test_patches_are_certain_if_their_colours_are_in_the_chart() -> None:
    image = Image.new("RGB", (300, 200), "white")
    canvas = ImageDraw.Draw(image)
    labels = [Label((40, 15, 110, 29), "Heading", 0.99)]
    for n, colour in enumerate(COLOURS):
        canvas.rectangle((40, 40 + 24 * n, 61, 51 + 24 * n), fill=colour)
        labels.append(Label((70, 38 + 24 * n, 120, 54 + 24 * n), ("Alpha", "Beta", "Gamma")[n], 0.99))
    regions = find_regions(np.asarray(image))
    (group,) = find_legends(regions, labels)
    bars = [Element("bar", True, region.shape, region.colour) for region in regions]
    assert [(one.certain, one.text) for one in legend_elements(group, bars, labels)] == [
        (True, "Alpha"),
        (True, "Beta"),
        (True, "Gamma"),
    ]
    others = [one for one in bars if one.colour and one.colour[0] < 100]  # none is red
    assert not any(one.certain for one in legend_elements(group, others, labels))
    two_lines = [*labels, Label((70, 104, 130, 114), "rays", 0.99)]
    assert [one.text for one in legend_elements(group, bars, two_lines)] == ["Alpha", "Beta", None]
