"""Box arithmetic against counting pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.engines.vision import boxes

side = st.integers(0, 20)
a_box = st.tuples(side, side, side, side).map(
    lambda s: (min(s[0], s[2]), min(s[1], s[3]), max(s[0], s[2]), max(s[1], s[3]))
)


def painted(box: tuple[int, int, int, int]) -> np.ndarray:
    canvas = np.zeros((20, 20), dtype=bool)
    canvas[box[1] : box[3], box[0] : box[2]] = True
    return canvas


@given(a_box, a_box)
def test_the_arithmetic_counts_pixels(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> None:
    one, other = np.array([first], dtype=float), np.array([second], dtype=float)
    shared = (painted(first) & painted(second)).sum()
    either = (painted(first) | painted(second)).sum()
    assert boxes.area(one)[0] == painted(first).sum()
    assert boxes.intersection(one, other)[0, 0] == shared
    assert boxes.iou(one, other)[0, 0] == pytest.approx(shared / either if either else 0)
    assert boxes.inside(one, other)[0, 0] == pytest.approx(shared / painted(first).sum() if painted(first).any() else 0)
