"""Colour names of drawn patches whose colours are known."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from hopchain_etl.engines.vision.attributes import ENOUGH, describe_colours, is_faded, names_of, share_of
from hopchain_etl.engines.vision.masks import Shape, rectangle
from hopchain_etl.hops.colours import COLOURS, join_colours, split_colours

# Hues in degrees that everybody calls by one name, away from every border, at full colour.
CLEAR_HUES = {"red": (351, 367), "orange": (22, 38), "yellow": (50, 64), "green": (82, 158), "blue": (192, 246)}

WHITE, BLUE, RED = (255, 255, 255), (30, 60, 220), (220, 20, 30)


def patch(rgb: tuple[int, ...], size: int = 40) -> np.ndarray:
    return np.full((size, size, 3), rgb[:3], dtype=np.uint8)


def framed(inside: tuple[int, ...], outside: tuple[int, ...]) -> tuple[np.ndarray, Shape]:
    image = patch(outside, 60)
    image[10:50, 10:50] = inside
    return image, rectangle((10, 10, 50, 50), 60, 60)


def shape_of(mask: np.ndarray) -> Shape:
    """The pixels of a mask of the whole photo."""
    return Shape(0, 0, mask, mask.astype(np.float32))


def drawn(*boxes: tuple[int, int, int, int], side: int = 120) -> np.ndarray:
    """Blue boxes on white."""
    image = patch(WHITE, side)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = BLUE
    return image


def ellipse(x1: float, y1: float, x2: float, y2: float, side: int = 120) -> np.ndarray:
    """The pixels of the ellipse that fills a box."""
    ys, xs = np.mgrid[:side, :side] + 0.5
    across, down = (xs - (x1 + x2) / 2) / ((x2 - x1) / 2), (ys - (y1 + y2) / 2) / ((y2 - y1) / 2)
    return across**2 + down**2 <= 1


@given(data=st.data(), name=st.sampled_from(sorted(CLEAR_HUES)), shine=st.floats(0.9, 1.0), full=st.floats(0.85, 1.0))
def test_clear_hues_have_one_name(data: st.DataObject, name: str, shine: float, full: float) -> None:
    hue = data.draw(st.floats(*CLEAR_HUES[name]))
    rgb = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 360 / 360, full, shine))
    image, shape = framed(rgb, (128, 128, 128))
    assert describe_colours(image, shape) == {"colours": name, "colour": name}


@pytest.mark.parametrize(
    ("css", "name"),
    [
        ("black", "black"),
        ("white", "white"),
        ("gray", "grey"),
        ("saddlebrown", "brown"),
        ("hotpink", "pink"),
        ("pink", "pink"),
        ("navy", "blue"),
        ("darkgreen", "green"),
        ("darkorange", "orange"),
        ("gold", "yellow"),
    ],
)
def test_named_web_colours(css: str, name: str) -> None:
    image, shape = framed(ImageColor.getrgb(css), ImageColor.getrgb("magenta" if name != "pink" else "cyan"))
    assert describe_colours(image, shape) == {"colours": name, "colour": name}


@pytest.mark.parametrize("css", ["teal", "salmon", "tan", "silver", "olive", "magenta", "tomato", "maroon"])
def test_colours_between_two_names_get_both_and_dominate_nothing(css: str) -> None:
    image, shape = framed(ImageColor.getrgb(css), ImageColor.getrgb("black"))
    seen = describe_colours(image, shape)
    assert "colour" not in seen
    assert seen["colours"].count(",") >= 1


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_every_colour_has_between_one_and_four_names(red: int, green: int, blue: int) -> None:
    assert 1 <= names_of(np.array([[red, green, blue]], dtype=np.uint8)).sum() <= 4


def test_no_colour_of_a_half_and_half_object_but_both_are_listed() -> None:
    image, shape = framed((255, 0, 0), (255, 255, 255))
    image[10:50, 30:50] = (0, 0, 255)
    assert describe_colours(image, shape) == {"colours": "red, blue"}


def test_a_small_patch_is_listed_but_does_not_stop_the_dominant_colour() -> None:
    image, shape = framed((255, 0, 0), (255, 255, 255))
    image[20:32, 20:32] = (0, 160, 0)  # 9 % of the object
    assert describe_colours(image, shape) == {"colours": "red, green", "colour": "red"}


def test_an_object_of_the_colour_of_its_surroundings_is_not_said_to_have_it() -> None:
    image, shape = framed((250, 250, 250), (240, 240, 240))
    assert describe_colours(image, shape) == {"colours": "white"}


sides = st.integers(20, 60)


@given(x=st.integers(0, 90), y=st.integers(0, 90), wide=sides, high=sides)
def test_a_thing_that_fills_its_box_keeps_its_colour(x: int, y: int, wide: int, high: int) -> None:
    box = (x, y, min(120, x + wide), min(120, y + high))  # also at the photo's border
    shape = rectangle(box, 120, 120)
    shape.mask[[0, 0, -1, -1], [0, -1, 0, -1]] = False  # as a segmenter's outline, which rounds corners
    assert describe_colours(drawn(box), shape)["colour"] == "blue"


@given(x=st.integers(0, 60), y=st.integers(0, 60), wide=sides, high=sides, fill=st.floats(0.6, 1.0))
def test_a_mask_of_the_background_in_the_box_has_no_colour(x: int, y: int, wide: int, high: int, fill: float) -> None:
    dx, dy = (1 - fill) * wide / 2, (1 - fill) * high / 2
    thing = ellipse(x + dx, y + dy, x + wide - dx, y + high - dy)
    image = patch(WHITE, 120)
    image[thing] = RED
    inside = np.zeros((120, 120), dtype=bool)
    inside[y : y + high, x : x + wide] = True
    assert "colour" not in describe_colours(image, shape_of(inside & ~thing))
    assert describe_colours(image, shape_of(thing))["colour"] == "red"


def test_a_mask_of_all_but_the_thing_has_no_colour_nor_has_one_of_the_whole_photo() -> None:
    image = drawn((20, 20, 100, 100))
    inverted = np.ones((120, 120), dtype=bool)
    inverted[20:100, 20:100] = False
    assert describe_colours(image, shape_of(inverted)) == {"colours": "white"}
    for gap in (0, 1):  # between the mask and the photo's border
        whole = rectangle((gap, gap, 120 - gap, 120 - gap), 120, 120)
        assert describe_colours(patch(BLUE, 120), whole) == {"colours": "blue"}


def test_a_mask_on_a_card_of_its_colour_has_none_although_the_card_ends_near_its_box() -> None:
    image = patch(RED, 120)
    image[20:100, 20:100] = WHITE
    assert describe_colours(image, shape_of(ellipse(24, 24, 96, 96))) == {"colours": "white"}


def test_a_mask_that_stops_short_of_the_edge_keeps_its_colour() -> None:
    assert describe_colours(drawn((10, 10, 110, 110)), rectangle((17, 17, 103, 103), 120, 120))["colour"] == "blue"


def test_a_bar_amid_bars_of_its_colour_keeps_it_unless_they_touch() -> None:
    bars = [(10 + 24 * place, 20, 30 + 24 * place, 110) for place in range(4)]  # 4 px apart
    for bar in bars:
        assert describe_colours(drawn(*bars), rectangle(bar, 120, 120))["colour"] == "blue"
    touching = [(10 + 20 * place, 20, 30 + 20 * place, 110) for place in range(5)]
    seen = [describe_colours(drawn(*touching), rectangle(bar, 120, 120)) for bar in touching]
    assert ["colour" in one for one in seen] == [True, False, False, False, True]
    assert all("blue" in split_colours(one["colours"]) for one in seen)


def test_the_margin_of_a_crop_changes_nothing() -> None:
    image, tight = framed(BLUE, WHITE)
    loose = np.zeros((60, 60), dtype=bool)
    loose[10:50, 10:50] = True
    assert (
        describe_colours(image, shape_of(loose))
        == describe_colours(image, tight)
        == {"colours": "blue", "colour": "blue"}
    )


def test_a_few_pixels_exclude_no_colour() -> None:
    image = drawn((10, 10, 18, 18))
    few = describe_colours(image, rectangle((10, 10, 17, 18), 120, 120))
    assert few == {"colours": join_colours(COLOURS)}
    enough = rectangle((10, 10, 18, 18), 120, 120)
    assert enough.area == ENOUGH
    assert describe_colours(image, enough) == {"colours": "blue", "colour": "blue"}


def test_the_border_ring_does_not_count() -> None:
    image, shape = framed((255, 0, 0), (255, 255, 255))
    image[10, 10:50] = image[49, 10:50] = image[10:50, 10] = image[10:50, 49] = (0, 0, 255)  # 10 % of the mask
    assert describe_colours(image, shape)["colours"] == "red"


def test_share_of_counts_one_name() -> None:
    image, shape = framed((255, 140, 0), (255, 255, 255))
    assert share_of("orange", image[shape.window], shape.mask) == 1.0
    assert share_of("green", image[shape.window], shape.mask) == 0.0


def test_faded_photos_are_told_from_coloured_ones() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 1), dtype=np.uint8)
    assert is_faded(np.repeat(noise, 3, axis=2))
    assert not is_faded(framed((255, 0, 0), (255, 255, 255))[0])
