"""Colour names of drawn patches whose colours are known."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from hopchain_etl.engines.vision.attributes import describe_colours, is_faded, names_of, share_of

# Hues in degrees that everybody calls by one name, away from every border, at full colour.
CLEAR_HUES = {"red": (351, 367), "orange": (22, 38), "yellow": (50, 64), "green": (82, 158), "blue": (192, 246)}


def patch(rgb: tuple[int, ...], size: int = 40) -> np.ndarray:
    return np.full((size, size, 3), rgb[:3], dtype=np.uint8)


def framed(inside: tuple[int, ...], outside: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    image, mask = patch(outside, 60), np.zeros((60, 60), dtype=bool)
    image[10:50, 10:50], mask[10:50, 10:50] = inside, True
    return image, mask


@given(data=st.data(), name=st.sampled_from(sorted(CLEAR_HUES)), shine=st.floats(0.9, 1.0), full=st.floats(0.85, 1.0))
def test_clear_hues_have_one_name(data: st.DataObject, name: str, shine: float, full: float) -> None:
    hue = data.draw(st.floats(*CLEAR_HUES[name]))
    rgb = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 360 / 360, full, shine))
    image, mask = framed(rgb, (128, 128, 128))
    assert describe_colours(image, mask) == {"colours": name, "colour": name}


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
    image, mask = framed(ImageColor.getrgb(css), ImageColor.getrgb("magenta" if name != "pink" else "cyan"))
    assert describe_colours(image, mask) == {"colours": name, "colour": name}


@pytest.mark.parametrize("css", ["teal", "salmon", "tan", "silver", "olive", "magenta", "tomato", "maroon"])
def test_colours_between_two_names_get_both_and_dominate_nothing(css: str) -> None:
    image, mask = framed(ImageColor.getrgb(css), ImageColor.getrgb("black"))
    seen = describe_colours(image, mask)
    assert "colour" not in seen
    assert seen["colours"].count(",") >= 1


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_every_colour_has_between_one_and_four_names(red: int, green: int, blue: int) -> None:
    assert 1 <= names_of(np.array([[red, green, blue]], dtype=np.uint8)).sum() <= 4


def test_no_colour_of_a_half_and_half_object_but_both_are_listed() -> None:
    image, mask = framed((255, 0, 0), (255, 255, 255))
    image[10:50, 30:50] = (0, 0, 255)
    assert describe_colours(image, mask) == {"colours": "red, blue"}


def test_a_small_patch_is_listed_but_does_not_stop_the_dominant_colour() -> None:
    image, mask = framed((255, 0, 0), (255, 255, 255))
    image[20:32, 20:32] = (0, 160, 0)  # 9 % of the object
    assert describe_colours(image, mask) == {"colours": "red, green", "colour": "red"}


def test_an_object_of_the_colour_of_its_surroundings_is_not_said_to_have_it() -> None:
    image, mask = framed((250, 250, 250), (240, 240, 240))
    assert describe_colours(image, mask) == {"colours": "white"}


def test_the_border_ring_does_not_count() -> None:
    image, mask = framed((255, 0, 0), (255, 255, 255))
    image[10, 10:50] = image[49, 10:50] = image[10:50, 10] = image[10:50, 49] = (0, 0, 255)  # 10 % of the mask
    assert describe_colours(image, mask)["colours"] == "red"


def test_share_of_counts_one_name() -> None:
    image, mask = framed((255, 140, 0), (255, 255, 255))
    assert share_of("orange", image, mask) == 1.0
    assert share_of("green", image, mask) == 0.0


def test_faded_photos_are_told_from_coloured_ones() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 1), dtype=np.uint8)
    assert is_faded(np.repeat(noise, 3, axis=2))
    assert not is_faded(framed((255, 0, 0), (255, 255, 255))[0])
