"""Question texts, sentence by sentence: what is found, what is read there, and the arithmetic over the letters."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hopchain_etl.hops.query import Hop, Read, Relation
from hopchain_etl.hops.render import Condition, HopLine, render
from support.hop_scenes import thing

CAR = thing("c", "car", 0, 0, 9, 9)


class First(random.Random):
    """Takes the first of several wordings."""

    def choice(self, seq: Any) -> Any:
        return seq[0]


def said(*lines: HopLine, signs: str = "") -> list[str]:
    return render(lines, signs, First()).split(". ")


def found(category: str, rel: Relation, to: str | None = "h1", **reading: Any) -> HopLine:
    condition, about = reading.pop("condition", None), reading.pop("about", CAR)
    return HopLine(Hop(("c",), category, rel, to, **reading), about, condition)


def counted(category: str, rel: Relation, to: str | None) -> HopLine:
    return HopLine(Hop((), category, rel, to, Read.COUNT), None)


PHRASES = [
    ("car", Relation.NAMED, None, "the only car"),
    ("red car", Relation.NAMED, None, "the only red car"),
    ("text", Relation.NAMED, None, "the only line of text"),
    ('text "SALE"', Relation.NAMED, None, 'the text "SALE"'),
    ('word "SALE"', Relation.NAMED, None, 'the word "SALE"'),
    ("car", Relation.BELOW, None, "the car lowest down in the picture"),
    ("red car", Relation.LEFT_OF, None, "the leftmost red car"),
    ("car", Relation.LEFT_OF, "h1", "the car directly to the left of it"),
    ("car", Relation.NEAREST, "h1", "the car nearest to it"),
    ("text", Relation.LARGEST, None, "the line of text in the tallest letters"),
    ("car", Relation.LARGEST, None, "the largest car"),
    ("text", Relation.SMALLEST, None, "the line of text in the shortest letters"),
    ("car", Relation.SMALLEST, None, "the smallest car"),
]


@pytest.mark.parametrize(("category", "rel", "to", "phrase"), PHRASES)
def test_what_a_sentence_finds(category: str, rel: Relation, to: str | None, phrase: str) -> None:
    number = counted("dog", Relation.NAMED, None)
    assert said(found(category, rel, to), number)[0] == f"Find {phrase}"
    assert said(number, found(category, rel, to))[1] == f"Go to {phrase}"


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        (found("number", Relation.NEAREST, read=Read.NUMBER), "call it A"),
        (found("bar", Relation.NEAREST, read=Read.NUMBER), "let A be its printed value"),
        (found("bar", Relation.NEAREST, read=Read.NUMBER, about=None), "let A be this number"),
        (found("word", Relation.NEAREST, read=Read.TEXT), "let A be its number of letters"),
        (found("patch", Relation.NEAREST, read=Read.TEXT), "let A be the number of letters of the word beside it"),
        (found("number", Relation.NEAREST, read=Read.NUMBER, condition=Condition("5", 1, 2, met=True)),
         "if this number is greater than 5, A is 1, otherwise 2"),
        (found("word", Relation.NEAREST, read=Read.TEXT, condition=Condition("4", 1, 2, met=True)),
         "if it has more than 4 letters, A is 1, otherwise 2"),
        (found("patch", Relation.NEAREST, read=Read.TEXT, condition=Condition("4", 1, 2, met=False)),
         "if the word beside it has more than 4 letters, A is 1, otherwise 2"),
        (found("car", Relation.NEAREST, read=Read.COLOUR, condition=Condition("red", 1, 2, met=True)),
         "if it is mainly red, A is 1, otherwise 2"),
    ],
)  # fmt: skip
def test_what_is_read_where_something_is_found(line: HopLine, reading: str) -> None:
    first, last = said(line)
    assert first.endswith(f" nearest to it: {reading}")
    assert last == "What is A?"


def test_a_colour_that_decides_nothing_only_leads_further() -> None:
    start, match = found("bar", Relation.LEFT_OF, None, read=Read.COLOUR), found("patch", Relation.MATCHING)
    assert said(start, match, counted("dog", Relation.NAMED, None)) == [
        "Find the leftmost bar", "Go to the patch of the same colour",
        "Let A be how many dogs are in the picture", "What is A?",
    ]  # fmt: skip


def test_a_second_reading_and_a_count_are_sentences_of_their_own() -> None:
    again = found("car", Relation.NAMED, read=Read.COLOUR, condition=Condition("red", 3, 4, met=True))
    lines = [
        found("car", Relation.LEFT_OF, None, read=Read.NUMBER),
        again,
        counted("person", Relation.RIGHT_OF, "h1"),
        counted("text", Relation.NAMED, None),
        found("text", Relation.NEAREST),
        counted("text", Relation.BELOW, "h5"),
    ]
    assert said(*lines, signs="++++") == [
        "Find the leftmost car: let A be its printed value",
        "If this car is mainly red, B is 3, otherwise 4",
        "Let C be how many people are further right in the picture than this car",
        "Let D be how many lines of text are in the picture",
        "Go to the line of text nearest to it: let E be how many lines of text are lower down in the picture than it",
        "What is A + B + C + D + E?",
    ]


@pytest.mark.parametrize(
    ("signs", "formula"),
    [
        ("", "A"),
        ("+-", "A + B − C"),
        ("**", "A × B × C"),
        ("*-", "A × B − C"),
        ("+*", "(A + B) × C"),
        ("-*+*", "((A − B) × C + D) × E"),
    ],
)
def test_arithmetic_goes_from_left_to_right(signs: str, formula: str) -> None:
    lines = [counted("dog", Relation.NAMED, None)] * (len(signs) + 1)
    assert said(*lines, signs=signs)[-1] == f"What is {formula}?"
