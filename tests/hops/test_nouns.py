"""Plurals as question texts and pages write them."""

from __future__ import annotations

import pytest

from hopchain_etl.hops.nouns import is_plural, plural

PLURALS = {
    "car": "cars",
    "wine glass": "wine glasses",
    "bus": "buses",
    "camera lens": "camera lenses",
    "berry": "berries",
    "toy": "toys",
    "monkey": "monkeys",
    "sky": "skies",
    "sports person": "sports people",
    "skis": "skis",
    "y": "ys",
}


@pytest.mark.parametrize(("one", "many"), PLURALS.items())
def test_the_plural_of_a_noun(one: str, many: str) -> None:
    assert plural(one) == many
    assert is_plural(many)


@pytest.mark.parametrize("noun", ["car", "wine glass", "bus", "iris", "lens", "person", ""])
def test_a_singular_is_no_plural(noun: str) -> None:
    assert not is_plural(noun)
