"""The parts of charts and tables as rows of a segmenter's reply, and the roles of lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON
from hopchain_etl.engines.vision import attributes, masks
from hopchain_etl.engines.vision.certainty import Candidate
from hopchain_etl.engines.vision.charts.elements import Element
from hopchain_etl.engines.vision.instances import Pixels, instance

SURE, DOUBTFUL = 0.9, 0.4  # scores; what is certain has been measured and read, there is nothing between


def to_rows(elements: Iterable[Element], rgb: Pixels) -> Iterator[JSON]:
    """Yield the instances of a segmenter's reply; ``attributes`` have ``label`` and ``series`` beside the colours."""
    height, width = rgb.shape[:2]
    faded = attributes.is_faded(rgb)
    for one in elements:
        shape = one.shape if one.certain else masks.rectangle(one.box, width, height)
        if shape.area:
            found = Candidate(one.category, SURE if one.certain else DOUBTFUL, one.box, one.text)
            row = instance(found, one.certain, shape, rgb, faded=faded)
            yield {**row, "attributes": {**row["attributes"], **one.names}}
