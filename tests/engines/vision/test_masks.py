"""From saliency to disjoint shapes, on arrays drawn by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.engines.local.saliency import mask_from_saliency
from hopchain_etl.engines.local.u2net import Cut
from hopchain_etl.engines.vision.masks import Shape, encode, rectangle, resolve_overlaps, separated
from support.masks import decode

WIDTH, HEIGHT = 120, 90


def cut_of(*boxes: tuple[int, int, int, int]) -> Cut:
    saliency = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for x1, y1, x2, y2 in boxes:
        saliency[y1:y2, x1:x2] = 1
    return Cut(0, 0, saliency)


@st.composite
def some_boxes(draw: st.DrawFn) -> list[tuple[float, float, float, float]]:
    boxes = []
    for _ in range(draw(st.integers(1, 5))):
        x, y = draw(st.integers(0, WIDTH - 20)), draw(st.integers(0, HEIGHT - 20))
        boxes.append((float(x), float(y), float(x + draw(st.integers(10, 60))), float(y + draw(st.integers(10, 60)))))
    return [(x1, y1, min(x2, WIDTH), min(y2, HEIGHT)) for x1, y1, x2, y2 in boxes]


def pixels(shape: Shape) -> np.ndarray:
    full = np.zeros((HEIGHT, WIDTH), dtype=int)
    full[shape.window] = shape.mask
    return full


@settings(max_examples=50)
@given(some_boxes())
def test_told_apart_shapes_are_disjoint_and_lose_no_pixel(boxes: list[tuple[float, float, float, float]]) -> None:
    shapes = [rectangle(box, WIDTH, HEIGHT) for box in boxes]
    apart = resolve_overlaps(shapes, WIDTH, HEIGHT)
    claimed = sum(pixels(shape) for shape in apart)
    assert claimed.max() <= 1
    assert np.array_equal(claimed > 0, sum(pixels(shape) for shape in shapes) > 0)
    for before, after in zip(shapes, apart, strict=True):
        assert (pixels(after) <= pixels(before)).all()


def test_the_inner_of_nested_shapes_keeps_its_pixels() -> None:
    outer, inner = resolve_overlaps(
        [rectangle((0, 0, 100, 80), WIDTH, HEIGHT), rectangle((40, 30, 60, 50), WIDTH, HEIGHT)], WIDTH, HEIGHT
    )
    assert inner.area == 400
    assert outer.area == 8000 - 400


@settings(max_examples=50)
@given(some_boxes(), st.integers(1, 2_000))
def test_shapes_of_which_little_is_left_take_no_pixel(
    boxes: list[tuple[float, float, float, float]], least: int
) -> None:
    shapes = {10 * index: rectangle(box, WIDTH, HEIGHT) for index, box in enumerate(boxes)}
    apart = separated(shapes, least, WIDTH, HEIGHT)
    assert list(apart) == [key for key in shapes if key in apart]
    assert all(shape.area >= least for shape in apart.values())
    total = sum((pixels(shape) for shape in apart.values()), np.zeros((HEIGHT, WIDTH), dtype=int))
    whole = sum((pixels(shapes[key]) for key in apart), np.zeros((HEIGHT, WIDTH), dtype=int))
    assert np.array_equal(total, whole > 0)  # each pixel of the others has one owner


def test_neighbours_meet_half_way() -> None:
    boxes = [(0.0, 0.0, 60.0, 60.0), (40.0, 0.0, 100.0, 60.0)]
    crops = [Cut(left, 0, np.ones((65, 66), dtype=np.float32)) for left in (0, 34)]  # a box and its margin
    shapes = [mask_from_saliency(cut, box) for cut, box in zip(crops, boxes, strict=True)]
    left, right = resolve_overlaps([shape for shape in shapes if shape], WIDTH, HEIGHT)
    assert abs(left.area - right.area) <= 60
    assert abs(left.box[2] - 50) <= 3


@settings(max_examples=50)
@given(some_boxes(), st.integers(0, 2**32 - 1))
def test_run_lengths_survive_the_round_trip(boxes: list[tuple[float, float, float, float]], seed: int) -> None:
    shape = rectangle(boxes[0], WIDTH, HEIGHT)
    noise = np.random.default_rng(seed).random(shape.mask.shape) < 0.5
    noisy = Shape(shape.left, shape.top, noise, shape.weight)
    mask = encode(noisy, WIDTH, HEIGHT)
    assert mask["size"] == [HEIGHT, WIDTH]
    assert mask["counts"].isascii()
    assert np.array_equal(decode(mask), pixels(noisy) > 0)


def test_a_shape_stops_at_its_box_and_drops_specks() -> None:
    shape = mask_from_saliency(cut_of((20, 20, 80, 60), (25, 65, 28, 68)), (20.0, 20.0, 80.0, 70.0))
    assert shape is not None
    assert shape.box == (20.0, 20.0, 80.0, 60.0)
    assert shape.area == 60 * 40


def test_what_does_not_suit_the_box_is_refused() -> None:
    box = (20.0, 20.0, 80.0, 70.0)
    assert mask_from_saliency(cut_of((20, 20, 30, 30)), box) is None  # covers 3 %
    assert mask_from_saliency(cut_of((0, 0, 120, 90)), box) is None  # leaks all over
    assert mask_from_saliency(cut_of(), box) is None  # nothing stands out


def test_an_empty_shape_has_an_empty_box() -> None:
    shape = rectangle((10, 10, 10, 30), WIDTH, HEIGHT)
    assert shape.area == 0
    assert shape.box == (10.0, 10.0, 10.0, 10.0)
