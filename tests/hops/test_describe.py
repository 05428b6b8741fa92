"""Hops in words: a table of what people read, and that no relation, reading or odd category is left without words."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops import describe as module
from hopchain_etl.hops.describe import (
    describe,
    describe_confirmations,
    describe_reading,
    describe_target,
    describe_value,
)
from hopchain_etl.hops.nouns import plural
from hopchain_etl.hops.query import Hop, Read, Relation, Value

FOUND = [
    ("red car", Relation.NAMED, None, "the red car"),
    ('word "SALE"', Relation.NAMED, None, 'the word "SALE"'),
    ("car", Relation.NAMED, "h1", "h1"),
    ("pillow", Relation.NEAREST, "h1", "the pillow nearest to h1"),
    ("chair", Relation.LEFT_OF, "h1", "the chair directly to the left of h1"),
    ("chair", Relation.ABOVE, "h2", "the chair directly above h2"),
    ("chair", Relation.LEFT_OF, None, "the leftmost chair"),
    ("candle", Relation.RIGHT_OF, None, "the rightmost candle"),
    ("chair", Relation.ABOVE, None, "the topmost chair"),
    ("person", Relation.BELOW, None, "the person lowest down in the picture"),
    ("chair", Relation.LARGEST, None, "the largest chair"),
    ("chair", Relation.SMALLEST, "h1", "the smallest chair besides h1"),
    ("number", Relation.LARGEST, None, "the number in the tallest letters"),
    ("doll", Relation.OTHER, "h3", "the other doll besides h3"),
    ("text", Relation.INSIDE, "h1", "the text printed on h1"),
    ("number", Relation.NEAREST_VALUE, "h4+h5", "the number whose value comes closest to h4+h5"),
    ("number", Relation.NEAREST_VALUE, "12", "the number whose value comes closest to 12"),
    ("cat", Relation.BEHIND, "h1", "the cat behind h1"),
    ("cat", Relation.NEAREST, None, "the cat nearest to (not said)"),
]
COUNTED = [
    ("chair", Relation.LEFT_OF, "h1", "chairs further left in the picture than h1"),
    ("tree", Relation.ABOVE, "h1", "trees higher up in the picture than h1"),
    ("person", Relation.NAMED, None, "people in the whole picture"),
    ("candles", Relation.NAMED, None, "candles in the whole picture"),
    ("bus", Relation.NAMED, "h1", "buses in the whole picture"),
    ("text", Relation.BELOW, "h1", "lines of text lower down in the picture than h1"),
    ('word "SALE"', Relation.INSIDE, "h2", 'words "SALE" printed on h2'),
]
ASKED = [
    (None, None, None, None, None),
    (Read.COLOUR, None, "red", "what is its main colour?", "red"),
    (Read.PARTS, "visible wheels", Fraction(4), "how many visible wheels can be seen on it?", "4"),
    (Read.PARTS, "armrests", Fraction(5, 2), "how many armrests can be seen on it?", "2.5"),
    (Read.PRESENT, "a hat", False, "can this be seen on it: a hat?", "no"),
    (Read.PRESENT, "shoes", True, "can this be seen on it: shoes?", "yes"),
    (Read.PRESENT, "white fur on its chest", True, "can this be seen on it: white fur on its chest?", "yes"),
    (Read.TEXT, None, "SALE", "what is written there?", '"SALE"'),
    (Read.NUMBER, None, Fraction(0), "which number is written there?", "0"),
    (Read.COUNT, None, Fraction(1, 3), "how many?", "1/3"),
    (Read.SHAPE, None, None, "what shape is it?", None),
]
LINES = st.text(st.characters(exclude_categories=["C"]), min_size=1)  # with braces, quotes and markup
VALUES: st.SearchStrategy[Value | None] = st.none() | st.booleans() | st.fractions() | LINES
HOPS = st.builds(
    Hop,
    st.just(("a",)),
    LINES | st.sampled_from(["y", "red car", 'word "SALE"', "text", "{anchor}"]),
    st.sampled_from(Relation),
    st.none() | st.sampled_from(["h1", "h4+h5", "12"]) | LINES,
    st.none() | st.sampled_from(Read),
    st.none() | LINES,
    VALUES,
)


class Unworded(StrEnum):
    """Members as a later version may add to Relation and Read."""

    LEANING_ON = "leaning_on"
    TALLEST = "tallest"
    MATERIAL = "main_material"


@pytest.mark.parametrize(("category", "rel", "to", "said"), FOUND)
def test_what_a_hop_finds(category: str, rel: Relation, to: str | None, said: str) -> None:
    assert describe_target(Hop(("a",), category, rel, to), to or "") == said


@pytest.mark.parametrize(("category", "rel", "to", "said"), COUNTED)
def test_what_a_hop_counts(category: str, rel: Relation, to: str | None, said: str) -> None:
    assert describe_target(Hop((), category, rel, to, Read.COUNT), to or "") == said


@pytest.mark.parametrize(("read", "arg", "value", "asks", "gets"), ASKED)
def test_what_a_hop_asks_and_gets(
    read: Read | None, arg: str | None, value: Value | None, asks: str | None, gets: str | None
) -> None:
    hop = Hop(("a",), "car", Relation.NAMED, None, read, arg, value)
    assert describe(hop)[1:] == (asks, gets)


def test_an_anchor_may_have_a_name_of_its_own() -> None:
    hop = Hop(("a",), "chair", Relation.NEAREST, "h1")
    assert describe_target(hop, "the thing marked A") == "the chair nearest to the thing marked A"
    assert describe_target(hop, "") == "the chair nearest to (not said)"
    nothing = Hop(("a",), "chair", Relation.NEAREST)
    assert describe_target(nothing, "the thing marked A") == "the chair nearest to (not said)"


def test_a_description_stands_beside_the_noun_that_it_is_about() -> None:
    def said(rel: Relation, to: str | None, read: Read | None = None) -> str:
        return describe_target(Hop(("a",), "chair", rel, to, read, words="in the background"), to or "")

    assert said(Relation.NEAREST, "h1") == "the chair (in the background) nearest to h1"
    assert said(Relation.NAMED, "h1") == "h1 (in the background)"
    assert said(Relation.RIGHT_OF, "h1") == "the chair (in the background) to the right of h1"
    assert said(Relation.LEFT_OF, "h1", Read.COUNT) == "chairs (in the background) further left in the picture than h1"


def test_every_relation_and_reading_has_a_wording_of_its_own() -> None:
    assert module._RELATIONS.keys() == set(Relation)
    assert module._READINGS.keys() == set(Read)
    forms = [form for one in module._RELATIONS.values() for form in (one.one, one.many, one.alone) if form]
    assert len(set(forms)) == len(forms)
    assert len(set(module._READINGS.values())) == len(Read)


def test_what_has_no_wording_yet_can_still_be_read() -> None:
    ladder = Hop(("a",), "ladder", Unworded.LEANING_ON, "h1", Unworded.MATERIAL)  # type: ignore[arg-type]
    assert describe(ladder) == ("the ladder leaning on h1", "what is its main material?", None)
    tower = Hop(("a",), "tower", Unworded.TALLEST)  # type: ignore[arg-type]
    assert describe_target(tower, "") == "the tallest tower"


@given(HOPS)
def test_every_hop_can_be_described(hop: Hop) -> None:
    finds, asks, gets = describe(hop)
    again = hop.rel is Relation.NAMED and hop.to is not None
    assert (hop.to or "") in finds or hop.rel in (Relation.NAMED, Relation.LARGEST, Relation.SMALLEST)
    if hop.read is Read.COUNT:
        noun = hop.category.partition(' "')[0]
        assert noun in finds or plural(noun) in finds
    elif not again:
        assert hop.category in finds
    else:
        assert finds == hop.to
    assert (asks is None) == (hop.read is None) == (describe_reading(hop) is None)
    assert (gets is None) == (hop.value is None) == (describe_value(hop) is None)
    assert asks is None or asks.endswith("?")


def test_who_confirmed_a_hop_is_told_or_said_to_be_unknown() -> None:
    looks = [{"by": "code", "looks": 0}, {"by": "eyes", "looks": 3}, {"by": "nobody", "looks": 0}]
    told = ["confirmed by code", "confirmed by eyes (3 of 3 looks)", "confirmed by nobody"]
    assert describe_confirmations(looks, 3) == told
    assert describe_confirmations(None, 2) == ["who confirmed it is not recorded"] * 2
