"""What an engine writes about colours is what hops read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.colours import COLOURS, join_colours, split_colours
from hopchain_etl.hops.instance import TruthValue, instance_from_row, matches, shows_colour


def row(**attributes: str) -> dict[str, Any]:
    return {
        "instance_id": "cat", "category": "cat", "box": [0, 0, 9, 9], "area": 81, "certain": True,
        "attributes": list(attributes.items()), "text": None, "mask": {},
    }  # fmt: skip


@given(st.lists(st.sampled_from(COLOURS), unique=True))
def test_what_is_joined_is_split_again(names: list[str]) -> None:
    assert split_colours(join_colours(names)) == frozenset(names)


@pytest.mark.parametrize("text", ["red,blue", "red, blue", " red ,blue ,", "blue,  red"])
def test_blanks_and_empty_names_do_not_count(text: str) -> None:
    assert split_colours(text) == {"red", "blue"}


def test_no_text_holds_no_colour() -> None:
    assert split_colours("") == split_colours(" , ") == frozenset()


@pytest.mark.parametrize("stored", ["black, orange, white", "black,orange,white"])
def test_every_colour_of_a_row_can_fit_not_only_the_first(stored: str) -> None:
    cat = instance_from_row(row(colours=stored))
    assert [matches(cat, f"{colour} cat") for colour in ("black", "orange", "white")] == [TruthValue.UNCLEAR] * 3
    assert matches(cat, "red cat") is TruthValue.NO
    mostly_black = instance_from_row(row(colour="black", colours=stored))
    assert shows_colour(mostly_black, "orange") is TruthValue.UNCLEAR
    assert shows_colour(mostly_black, "red") is TruthValue.NO


def test_the_basic_names_are_the_eleven() -> None:
    assert len(set(COLOURS)) == len(COLOURS) == 11
