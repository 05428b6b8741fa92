"""Masks are read as pycocotools reads them, and their strips follow them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from hopchain_etl.hops.outline import MOST_STRIPS, pixels, rle, runs, strips
from support.hop_scenes import disc, encoded

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))


def painted(boxes: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    shape = np.zeros(size, bool)
    for x1, y1, x2, y2 in boxes.astype(int):
        shape[y1:y2, x1:x2] = True
    return shape


@given(MASKS)
def test_runs_are_the_columns_of_the_mask(shape: NDArray[np.uint8]) -> None:
    found = runs(encoded(shape))
    assert (found[:, 1] < found[:, 2]).all()
    assert (painted(found[:, [0, 1, 0, 2]] + [0, 0, 1, 0], shape.shape) == shape.astype(bool)).all()


@given(MASKS, st.data())
def test_a_window_shows_what_pycocotools_unpacks(shape: NDArray[np.uint8], data: st.DataObject) -> None:
    height, width = shape.shape
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    mask = encoded(shape)
    assert (pixels(mask, (x1, y1, x2, y2)) == coco.decode(rle(mask)).astype(bool)[y1:y2, x1:x2]).all()


@given(MASKS)
def test_strips_of_a_narrow_mask_are_the_mask(shape: NDArray[np.uint8]) -> None:
    found = strips(encoded(shape))
    assert found.shape == (len(found), 4)
    assert (painted(found, shape.shape) == shape.astype(bool)).all()


@pytest.mark.parametrize("radius", [40, 150, 380])
def test_strips_of_a_wide_mask_follow_it(radius: int) -> None:
    shape = disc(500, 400, radius)
    found = strips(encoded(shape))
    assert len(found) <= MOST_STRIPS
    assert (painted(found, (800, 1000)) != shape).sum() < 0.02 * shape.sum()
    columns = np.flatnonzero(shape.any(axis=0))
    assert abs(found[:, 0].min() - columns[0]) <= 2 * radius / MOST_STRIPS
    assert abs(found[:, 2].max() - columns[-1] - 1) <= 2 * radius / MOST_STRIPS


@pytest.mark.parametrize("width", [1, 63, 64, 65, 66, 130, 300, 707])
def test_strips_stand_side_by_side_each_as_high_as_the_mask_in_its_middle(width: int) -> None:
    columns = np.arange(width)
    top, bottom = 100 + columns * 7 % 90, 300 + columns * 11 % 90
    shape = np.zeros((400, 900), bool)
    for x in columns:
        shape[top[x] : bottom[x], 50 + x] = True
    step = -(-width // MOST_STRIPS)
    x1, y1, x2, y2 = strips(encoded(shape)).astype(int).T - [[50], [0], [50], [0]]
    assert (x1 == step * np.arange(len(x1))).all()
    assert (x2 == np.minimum(x1 + step, width)).all()
    assert width - x2[-1] <= step // 2, "what is left out is narrower than half a strip"
    assert (y1 == top[x1 + step // 2]).all()
    assert (y2 == bottom[x1 + step // 2]).all()


def test_a_large_photo_has_long_runs() -> None:
    """Numbers of several characters, and a mask that goes on from column to column without a gap."""
    shape = np.zeros((3000, 2000), bool)
    shape[:, 700:1300] = True
    shape[2900:, 1250:] = False
    assert (pixels(encoded(shape), (0, 0, 2000, 3000)) == shape).all()
