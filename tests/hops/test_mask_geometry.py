"""Distances and contacts of masks are those of their pixels, not of their boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.mask_geometry import box_gap, common_area, gap, gap_bounds, share_around, share_below
from support.hop_scenes import HEIGHT, WIDTH, disc, encoded, filled, line, shaped, thing

DISCS = st.tuples(st.integers(60, 900), st.integers(60, 700), st.integers(10, 50))
SOFA = shaped(
    "sofa", "sofa", filled(200, 200, 500, 60) | filled(200, 200, 80, 300)
)  # with a corner free inside its box
TABLE = shaped("table", "table", filled(100, 400, 700, 200) & ~disc(300, 380, 50) & ~disc(600, 480, 40))


@given(DISCS, DISCS)
def test_the_gap_between_two_discs(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    a, b = shaped("a", "ball", disc(*one)), shaped("b", "ball", disc(*other))
    apart = math.dist(one[:2], other[:2]) - one[2] - other[2]
    assert gap(a, b) == pytest.approx(max(0.0, apart), abs=3)
    assert box_gap(a, b) - 1 <= gap(a, b)


@given(DISCS, DISCS, st.sampled_from(["both", "one", "neither"]))
def test_boxes_tell_the_least_and_the_most(one: tuple[int, int, int], other: tuple[int, int, int], masked: str) -> None:
    a, b = (
        shaped(name, "ball", disc(*where)) if masked == "both" or (masked == "one" and name == "a") else _box(where)
        for name, where in (("a", one), ("b", other))
    )
    least, most = gap_bounds(a, b)
    assert least - 1 <= gap(a, b) <= most + 1


def _box(where: tuple[int, int, int]) -> Instance:
    x, y, radius = where
    return thing("box", "ball", x - radius, y - radius, 2 * radius, 2 * radius)


def test_of_two_chairs_at_a_sofas_box_one_touches_its_mask() -> None:
    at_its_back = shaped("back", "chair", filled(400, 140, 80, 60))
    in_its_corner = shaped("corner", "chair", filled(500, 420, 80, 80))
    assert box_gap(at_its_back, SOFA) == box_gap(in_its_corner, SOFA) == 0
    assert gap(at_its_back, SOFA) == 0
    assert gap(in_its_corner, SOFA) == pytest.approx(160, abs=7)


def test_a_text_fills_its_box() -> None:
    assert gap(line("t", "SALE", 300, 280), SOFA) == 20  # its left end is above the arm's edge, but below the back
    assert gap(line("t", "SALE", 300, 100), line("u", "SALE", 300, 150)) == 30


def test_an_empty_mask_counts_as_its_box() -> None:
    empty = Instance("e", "chair", (0, 0, 10, 10), 0.0, mask=encoded(np.zeros((HEIGHT, WIDTH), bool)))
    assert gap(empty, SOFA) == pytest.approx(math.hypot(190, 190))


def test_below_a_cup_on_a_table_is_the_table() -> None:
    on_it = shaped("cup", "cup", disc(600, 480, 40))
    assert share_below(on_it, TABLE) == 1
    before_it = shaped("jug", "jug", filled(400, 500, 80, 150))  # in front of the table, and beyond its lower edge
    assert share_below(before_it, TABLE) == 0
    over_its_side = shaped("box", "box", filled(60, 330, 80, 70))
    assert share_below(over_its_side, TABLE) == pytest.approx(0.5)


def test_around_an_apple_in_a_bowl_is_the_bowl() -> None:
    bowl = shaped("bowl", "bowl", disc(500, 400, 150) & ~disc(480, 420, 40))
    within = shaped("apple", "apple", disc(480, 420, 40))
    beside = shaped("pear", "pear", disc(500, 210, 40))
    assert share_around(within, bowl) > 0.95
    assert share_around(beside, bowl) < 0.3


def test_contacts_at_the_edge_of_the_photo() -> None:
    floor = shaped("floor", "floor", filled(0, 700, 1000, 100) & ~filled(0, 650, 100, 120))
    dog = shaped("dog", "dog", filled(0, 650, 100, 120))
    assert share_below(dog, floor) == 1
    cut_off = shaped("cat", "cat", filled(900, 750, 100, 50))
    assert share_below(cut_off, floor) == 0


def test_distances_and_common_areas_of_boxes_are_exact() -> None:
    a, right, below, askew = (thing(name, "box", x, y, 40, 30) for name, x, y in (
        ("a", 100, 100), ("right", 150, 120), ("below", 110, 170), ("askew", 170, 170),
    ))  # fmt: skip
    for other, apart in ((a, 0), (right, 10), (below, 40), (askew, 50)):
        assert box_gap(a, other) == box_gap(other, a) == gap(a, other) == apart
        assert gap_bounds(a, other) == gap_bounds(other, a) == (apart, apart)  # boxes are known to be full
    over = thing("over", "box", 120, 90, 100, 25)
    for other, area in ((a, 1_200), (right, 0), (askew, 0), (over, 300), (thing("in", "box", 110, 110, 5, 4), 20)):
        assert common_area(a, other) == common_area(other, a) == area


@pytest.mark.parametrize(
    ("x", "y", "most"),
    [
        (150, 110, math.hypot(10, 40)),  # beside: somewhere between 100 and 140, the two may be as far apart as that
        (110, 170, math.hypot(50, 40)),
        (170, 170, math.hypot(30, 100)),
        (50, 30, math.hypot(40, 90)),
    ],
)
def test_the_most_that_two_masks_can_be_apart_is_that_of_their_far_ends(x: int, y: int, most: float) -> None:
    """Each touches all sides of its box: of two beside each other, one may touch at its top, and one at its bottom."""
    a = thing("a", "box", 100, 100, 40, 30, masked=True)
    other = thing("other", "box", x, y, 40, 30)
    assert gap_bounds(a, other) == gap_bounds(other, a)
    assert gap_bounds(a, other) == pytest.approx((box_gap(a, other), most))


@pytest.mark.parametrize(("clear", "share"), [(0, 1), (14, 1), (15, 0), (40, 0)])
def test_what_is_within_a_band_below_touches(clear: int, share: float) -> None:
    """The band is 15 px high, 0.015 of the longer side of 1000."""
    cup = shaped("cup", "cup", filled(400, 300, 40, 40))
    table = shaped("table", "table", filled(300, 340 + clear, 300, 100))
    assert share_below(cup, table) == share
    half = shaped("table", "table", filled(300, 340 + clear, 110, 100))
    assert share_below(cup, half) == share / 4


@pytest.mark.parametrize(
    ("x", "y", "share"), [(400, 300, 1), (415, 300, 1 - 15 * 70 / 3300), (400, 315, 1 - 15 * 70 / 3300)]
)
def test_what_is_within_a_band_around_touches(x: int, y: int, share: float) -> None:
    """40 px and 15 px on each side: 70 x 70 px without 40 x 40 px."""
    cup = shaped("cup", "cup", filled(400, 300, 40, 40))
    tray = filled(x - 15, y - 15, 70, 70) & ~filled(400, 300, 40, 40)
    assert share_around(cup, shaped("tray", "tray", tray)) == pytest.approx(share)
    assert share_around(shaped("nothing near", "cup", filled(10, 10, 20, 20)), shaped("tray", "tray", tray)) == 0


def test_in_a_small_photo_the_band_has_two_px() -> None:
    def small(name: str, top: int, bottom: int) -> Instance:
        pixels = np.zeros((60, 80), bool)
        pixels[top:bottom, 20:30] = True
        return Instance(name, "cup", (20.0, float(top), 30.0, float(bottom)), float(pixels.sum()), mask=encoded(pixels))

    assert share_below(small("cup", 10, 20), small("table", 21, 40)) == 1
    assert share_below(small("cup", 10, 20), small("table", 22, 40)) == 0
