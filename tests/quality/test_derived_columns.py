"""Masks are read as their pixels are, whatever poses as one, and measured against their box."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from pycocotools import mask as coco

from hopchain_etl.quality.derived_columns import instance_checks
from hopchain_etl.quality.masks import Mask, read_mask, read_masks
from support.suite_rows import instance


@given(st.text() | st.text(alphabet=[chr(code) for code in range(48, 112)]), st.integers(-1, 9), st.integers(-1, 9))
@example("", 0, 0)
def test_no_text_that_poses_as_a_mask_does_harm(counts: str, height: int, width: int) -> None:
    read = read_mask({"size": [height, width], "counts": counts})
    if read is not None:
        pixels = coco.decode({"size": [height, width], "counts": counts.encode()})
        assert pixels.shape == (height, width)
        assert pixels.sum() == read.area


@given(st.data(), st.integers(1, 70), st.integers(1, 70))
def test_a_mask_measures_what_its_pixels_do(data: st.DataObject, height: int, width: int) -> None:
    bits = data.draw(st.binary(min_size=height * width, max_size=height * width))
    pixels = (np.frombuffer(bits, np.uint8) % 3 == 1).reshape(height, width).astype(np.uint8)
    rle = coco.encode(np.asfortranarray(pixels))
    read = read_mask({"size": rle["size"], "counts": rle["counts"].decode()})
    assert read is not None
    assert (read.height, read.width, read.area) == (height, width, pixels.sum())
    if read.area:
        ys, xs = np.nonzero(pixels)
        assert read.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


LETTERS = st.text(alphabet=[chr(code) for code in range(46, 114)], max_size=12)


@given(st.lists(LETTERS | st.sampled_from(["", "o", "04", "1O", "\x00"]), max_size=12), st.integers(1, 300))
def test_many_masks_are_read_as_each_alone(counts: list[str], copies: int) -> None:
    masks = [{"size": [2, 2], "counts": text} for text in [*counts, "04"]] + [None]
    assert read_masks(masks) == [read_mask(mask) for mask in masks]
    assert read_masks([masks[-2]] * copies) == [Mask(2, 2, 4, (0, 0, 2, 2))] * copies


def test_a_mask_may_reach_two_pixels_out_of_its_box_and_no_further() -> None:
    assert instance_checks(instance(0) | {"box": [12.0, 7.0, 28.0, 23.0]})["box_holds_mask"]
    assert not instance_checks(instance(0) | {"box": [12.1, 7.0, 28.0, 23.0]})["box_holds_mask"]
