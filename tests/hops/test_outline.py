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

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))


def encoded(shape: NDArray[Any]) -> dict[str, Any]:
    code = coco.encode(np.asfortranarray(shape, dtype=np.uint8))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


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
    assert (painted(strips(encoded(shape)), shape.shape) == shape.astype(bool)).all()


@pytest.mark.parametrize("radius", [40, 150, 380])
def test_strips_of_a_wide_mask_follow_it(radius: int) -> None:
    rows, columns = np.mgrid[:800, :1000]
    disc = (rows - 400) ** 2 + (columns - 500) ** 2 < radius**2
    found = strips(encoded(disc))
    assert len(found) <= MOST_STRIPS
    both = painted(found, disc.shape)
    assert (both != disc).sum() < 0.02 * disc.sum()
    assert found[:, 0].min() == columns[disc].min()
    assert found[:, 2].max() >= columns[disc].max() - 2 * radius / MOST_STRIPS


def test_a_large_photo_has_long_runs() -> None:
    """Numbers of several characters, and a mask that goes on from column to column without a gap."""
    shape = np.zeros((3000, 2000), bool)
    shape[:, 700:1300] = True
    shape[2900:, 1250:] = False
    assert (pixels(encoded(shape), (0, 0, 2000, 3000)) == shape).all()
