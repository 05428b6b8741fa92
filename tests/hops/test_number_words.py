"""Numbers in words: every number that can be said is read, and what follows it is left."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.number_words import MAGNITUDES, NUMBER_WORDS, ORDINALS, number_from_words

UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()  # noqa: SIM905 - as they are counted
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
POWERS = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
PARTS = {
    2: "half halves", 3: "third thirds", 4: "quarter quarters", 5: "fifth fifths", 6: "sixth sixths",
    7: "seventh sevenths", 8: "eighth eighths", 9: "ninth ninths", 10: "tenth tenths",
}  # fmt: skip


def said(value: int, joint: str = " and ", hyphen: str = "-") -> str:
    """A whole number in words, ``joint`` before what is below a hundred."""
    if value < 20:
        return UNITS[value]
    if value < 100:
        return TENS[value // 10] + (f"{hyphen}{UNITS[value % 10]}" if value % 10 else "")
    power, name = next(each for each in POWERS if each[0] <= value)
    rest = value % power
    first = f"{said(value // power, joint, hyphen)} {name}"
    return first + (f"{joint if rest < 100 else ' '}{said(rest, joint, hyphen)}" if rest else "")


@given(st.integers(0, 10**15 - 1) | st.integers(0, 10**6), st.sampled_from([" ", " and "]), st.sampled_from(" -"))
def test_reads_every_number_below_a_thousand_trillion_and_leaves_the_rest(value: int, joint: str, hyphen: str) -> None:
    words, number = said(value, joint, hyphen), Fraction(value)
    assert number_from_words(words) == (number, "")
    assert number_from_words(f"{words.upper()} red apples") == (number, " red apples")
    for sign, signed in (("minus", -number), ("negative", -number), ("plus", number), ("positive", number)):
        assert number_from_words(f"{sign} {words}") == (signed, "")


@pytest.mark.parametrize("bottom", PARTS)
def test_reads_every_named_part_and_a_whole_number_with_it(bottom: int) -> None:
    one, more = PARTS[bottom].split()
    for top in range(1, 20):
        part = f"{UNITS[top]} {one if top == 1 else more}"
        assert number_from_words(f"{part} of it") == (Fraction(top, bottom), " of it")
        mixed = f"twenty-one and {part}"
        proper = top < bottom
        assert number_from_words(mixed) == (21 + Fraction(top, bottom) if proper else 21, "" if proper else mixed[10:])
    assert number_from_words(f"a {one}") == (Fraction(1, bottom), "")
    assert number_from_words(f"six and a {one} left") == (6 + Fraction(1, bottom), " left")


@pytest.mark.parametrize(
    ("words", "value", "rest"),
    [
        ("a fourth", Fraction(1, 4), ""),
        ("three fourths", Fraction(3, 4), ""),
        ("two second", None, ""),  # neither an ordinal nor a time
        ("one second", 1, " second"),
        ("half a second", Fraction(1, 2), " second"),
        ("minus one second", -1, " second"),
        ("two seconds", 2, " seconds"),
        ("two half", 2, " half"),
        ("one thirds", 1, " thirds"),
        ("zero halves", 0, " halves"),
        ("three halfs", 3, " halfs"),
        ("four twenty", 4, " twenty"),
        ("one two", 1, " two"),
        ("twenty eleven", 20, " eleven"),
        ("twenty zero", 20, " zero"),
        ("a", None, ""),
        ("a dog", None, ""),
        ("a hundred dogs", 100, " dogs"),
        ("a dozen", 12, ""),
        ("a million and one", 1_000_001, ""),
        ("half a dozen eggs", 6, " eggs"),
        ("half an hour", Fraction(1, 2), " hour"),
        ("half million", 500_000, ""),
        ("three dozen eggs", 36, " eggs"),
        ("one and a half dozen", 18, ""),
        ("two and a half million", 2_500_000, ""),
        ("ninety-nine and a half thousand", 99_500, ""),
        ("one hundred and a half thousand", Fraction(201, 2), " thousand"),
        ("two and three", 2, " and three"),
        ("two and half", 2, " and half"),
        ("two and a bit", 2, " and a bit"),
        ("two hundred and", 200, " and"),
        ("two hundred and red", 200, " and red"),
        ("two thousand and red", 2_000, " and red"),
        ("two thousand zero", 2_000, " zero"),
        ("one thousand two million", 1_000, " two million"),
        ("one thousand two thousand", 1_000, " two thousand"),
        ("one thousand trillion", 1_000, " trillion"),
        ("zero hundred", 0, " hundred"),
        ("nineteen hundred five", 1_905, ""),
        ("hundred", None, ""),
        ("point five", None, ""),
        ("three point", None, ""),
        ("three point ten", None, ""),
        ("three point one four cm", Fraction(314, 100), " cm"),
        ("ten point zero five million", 10_050_000, ""),
        ("two lakh", 2, " lakh"),
        ("two point five lakh", 250_000, ""),
        ("half a lac", 50_000, ""),
        ("one and a half crore", 15_000_000, ""),
        ("two and a half hundred", 250, ""),
        ("half a trillion", 500_000_000_000, ""),
        ("plus", None, ""),
        (" seven", None, ""),
        ("seven  apples", 7, "  apples"),
        ("seven-eight", 7, "-eight"),
        ("", None, ""),
    ],
)
def test_reads_words_in_their_normal_order_only(words: str, value: Fraction | int | None, rest: str) -> None:
    assert number_from_words(words) == (None if value is None else (value, rest))


def test_what_counts_on_behind_a_number_is_known_in_one_and_in_many() -> None:
    for number, one in ((12, "dozen"), (100, "hundred"), (1_000, "thousand"), (100_000, "lakh"), (10**7, "crore")):
        assert MAGNITUDES[one] == MAGNITUDES[f"{one}s"] == number
    assert {"zero", "nineteen", "twenty", "ninety", "point"} <= NUMBER_WORDS
    assert {"_", "third", "dozen"} & NUMBER_WORDS == set()
    assert {"first", "thirds", "twelfth", "nineteenth", "twentieths", "hundredth"} <= ORDINALS
    assert {"second", "half", "seconds"} & ORDINALS == set()
