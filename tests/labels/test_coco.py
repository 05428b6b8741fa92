"""Files of COCO as tools write them."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.labels.coco import read_coco
from hopchain_etl.labels.entries import LabelledThing

RING = [20, 20, 70, 20, 70, 80]


def thing(segmentation: Any) -> LabelledThing:
    """Return what is read of an annotation with a good box and this outline; fails if it is a mistake."""
    facts = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 50, 60], "segmentation": segmentation}
    (found,) = read_coco([("annotations", facts)])
    assert isinstance(found, LabelledThing)
    return found


@pytest.mark.parametrize("empty", [[[]], [[], []], {}, [], None])
def test_a_box_counts_beside_an_empty_outline(empty: Any) -> None:
    assert (thing(empty).box, thing(empty).polygons or None, thing(empty).rle) == ((20, 20, 70, 80), None, None)


def test_an_empty_ring_is_passed_over_beside_another() -> None:
    assert (thing([[], RING]).box, thing([[], RING]).polygons) == (None, (tuple(RING),))
