"""What an instance is called, and what it shows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from hopchain_etl.hops.instance import (
    Instance,
    TruthValue,
    instance_from_row,
    matches,
    parse_phrase,
    says,
    shows_colour,
)
from support.hop_scenes import encoded, filled, shaped, text, thing


@pytest.mark.parametrize(
    ("phrase", "parts"),
    [
        ("car", (None, "car", None)),
        ("red car", ("red", "car", None)),
        ("traffic light", (None, "traffic light", None)),
        ("green traffic light", ("green", "traffic light", None)),
        ('word "SALE"', (None, "word", "SALE")),
        ("the guy's hat!", (None, "the guy's hat!", None)),
    ],
)
def test_phrases(phrase: str, parts: tuple[str | None, str, str | None]) -> None:
    assert parse_phrase(phrase) == parts


def test_what_counts_as_a_word_or_a_number() -> None:
    assert matches(text("Apples", 0, 0), "word") is TruthValue.YES
    assert matches(text("Fresh figs", 0, 0), "word") is TruthValue.UNCLEAR
    assert matches(text("42", 0, 0), "word") is TruthValue.NO
    assert matches(text("4.50", 0, 0), "number") is TruthValue.YES
    assert matches(text("$4.50", 0, 0), "number") is TruthValue.UNCLEAR
    assert matches(text("Room 12", 0, 0), "number") is TruthValue.UNCLEAR
    assert matches(text("SALE TODAY", 0, 0), 'word "SALE"') is TruthValue.UNCLEAR


def test_absent_and_main_colours() -> None:
    car = thing("c", "car", 0, 0, 9, 9, colour="red", colours="red,black")
    assert [shows_colour(car, colour) for colour in ("red", "black", "blue")] == [
        TruthValue.YES,
        TruthValue.UNCLEAR,
        TruthValue.NO,
    ]


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("2100k", 2100),
        ("12 %", 12),
        ("1,250", 1250),
        ("$3", 3),
        ("4 cm", 4),
        ("20°C", 20),
        ("1,25", None),
        ("No. 3", None),
    ],
)
def test_numbers_with_a_unit(said: str, number: int | None) -> None:
    assert text(said, 0, 0).number == number


@pytest.mark.parametrize(
    ("said", "value", "truth"),
    [
        ("17", Fraction(17), TruthValue.YES),
        ("Room 17", Fraction(17), TruthValue.UNCLEAR),
        ("18", Fraction(17), TruthValue.NO),
        (" Sale ", "sale", TruthValue.YES),
        ("Big sale", "SALE", TruthValue.UNCLEAR),
        ("Salt", "sale", TruthValue.UNCLEAR),  # three of four letters: OCR may have misread it
        ("Sand", "sale", TruthValue.NO),
        ("Sale", "", TruthValue.NO),
        ("Sale", "big sale", TruthValue.NO),
    ],
)
def test_a_line_may_say_what_is_sought(said: str, value: Fraction | str, truth: TruthValue) -> None:
    assert says(text(said, 0, 0), value) is truth


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("3,5 kg", {Fraction(7, 2), 35, 3, 5}),
        ("12 of 40", {12, 40}),
        ("v1.2.3", set()),
        ("1,2.5", {Fraction("12.5"), 1, Fraction("2.5")}),
        ("no", set()),
    ],
)
def test_numbers_that_a_person_may_see_in_a_text(said: str, numbers: set[Fraction]) -> None:
    assert text(said, 0, 0).possible_numbers == numbers


ROW: dict[str, Any] = {"instance_id": "a", "category": "car", "box": [1, 2, 11, 7], "area": 40, "certain": True,
                       "text": None, "mask": {}}  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "colour", "colours"),
    [
        (None, None, set()),
        ([], None, set()),
        ([("colour", "red"), ("colours", "red,black")], "red", {"red", "black"}),
        ({"colour": "red", "colours": "red"}, "red", {"red"}),
        ([{"key": "colours", "value": "red,blue"}, {"key": "sharp", "value": "yes"}], None, {"red", "blue"}),
    ],
)
def test_rows_of_the_lake_and_of_a_release_give_the_same_instance(
    attributes: Any, colour: str | None, colours: set[str]
) -> None:
    made = instance_from_row(ROW | {"attributes": attributes})
    assert made == Instance("a", "car", (1, 2, 11, 7), 40, True, colour, frozenset(colours))
    assert (made.centre, made.width, made.height, made.box_area) == ((6, 4.5), 10, 5, 50)


def test_what_a_thing_covers_is_its_box_unless_a_mask_says_more() -> None:
    half = filled(0, 0, 5, 10)
    for one, covered in (
        (shaped("a", "car", half), (0, 0, 5, 10)),
        (thing("a", "car", 0, 0, 10, 10), (0, 0, 10, 10)),
        (replace(shaped("a", "text", half), box=(0, 0, 10, 10)), (0, 0, 10, 10)),
        (replace(shaped("a", "car", half), mask=encoded(filled(0, 0, 0, 0)), box=(0, 0, 9, 9)), (0, 0, 9, 9)),
    ):
        assert (*one.strips[:, :2].min(axis=0), *one.strips[:, 2:].max(axis=0)) == covered
