"""Programs and their rows: what follows from them is computed, and only a valid row is a program."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from hopchain_etl.hops.numbers import LONGEST
from hopchain_etl.hops.query import (
    Hop,
    Query,
    QueryError,
    Read,
    Relation,
    Value,
    decimal_text,
    hop_from_row,
    hop_to_row,
    query_from_row,
    query_id,
)


@pytest.mark.parametrize(
    ("to", "letters", "hops"),
    [
        ("letters(h2)", True, (2,)),
        ("h2", False, (2,)),
        ("h4+h12", False, (4, 12)),
        (None, False, ()),
    ],
)
def test_a_hop_refers_to_earlier_ones_by_their_readings_or_by_the_letters_of_one(
    to: str | None, letters: bool, hops: tuple[int, ...]
) -> None:
    hop = Hop((), "number", Relation.NEAREST_VALUE, to)
    assert (hop.seeks_letters, hop.to_hops, hop.to_hop) == (letters, hops, max(hops, default=None))


@pytest.mark.parametrize("value", ["[1]", '{"n": 1}', "null"])
def test_a_reading_is_a_number_a_text_or_yes_or_no(value: str) -> None:
    row = {"target": ["a"], "category": "dog", "rel": "named", "to": None, "read": "number", "arg": None}
    assert hop_from_row({**row, "value": "7"}, 3).value == 7
    with pytest.raises(QueryError, match=r"h3: value .* is neither number, string nor boolean"):
        hop_from_row({**row, "value": value}, 3)


@pytest.mark.parametrize(
    ("rel", "to", "read", "levels"),
    [
        (Relation.NAMED, None, None, (1,)),
        (Relation.NAMED, None, Read.NUMBER, (1,)),
        (Relation.LEFT_OF, None, None, (1,)),  # the leftmost one
        (Relation.LEFT_OF, "h1", None, (2,)),
        (Relation.LEFT_OF, "h1", Read.NUMBER, (2, 1)),
        (Relation.ABOVE, "h1", Read.COUNT, (2,)),
        (Relation.NAMED, None, Read.COUNT, (2,)),
    ],
)
def test_a_hop_relates_counts_or_looks_at_one_object(
    rel: Relation, to: str | None, read: Read | None, levels: tuple[int, ...]
) -> None:
    hop = Hop((), "car", rel, to, read)
    assert (hop.levels, hop.level) == (levels, levels[-1])


CHAIN = Query(
    "?",
    (
        Hop(("dog",), "dog", Relation.NAMED, None, Read.COLOUR, value="red"),
        Hop(("car",), "car", Relation.NEAREST, "h1"),
        Hop(("car",), "car", Relation.NAMED, "h2", Read.PARTS, "doors", Fraction(4)),  # a second look
        Hop(("sign",), "sign", Relation.LEFT_OF, "h3", Read.NUMBER, value=Fraction(12)),
        Hop(("one",), "sign", Relation.BELOW, "h2", Read.COUNT, value=Fraction(1)),
        Hop(("sum",), "number", Relation.NEAREST_VALUE, "h3+h4"),
        Hop(("odd",), "number", Relation.NEAREST_VALUE, "h9"),  # of which there is none
    ),
    "h3+h4",
    Fraction(16),
)


def test_what_a_chain_visits_is_derived_from_its_hops() -> None:
    assert CHAIN.values == {1: "red", 3: 4, 4: 12, 5: 1}
    assert CHAIN.referents == ("dog", "car", "sign", "sum", "odd")
    assert CHAIN.instance_links == 3  # a second look finds nothing, and a count no single one
    assert CHAIN.perception_switches == 6  # levels 1, 2, 1, 2 and 1, 2, 1, 1


@pytest.mark.parametrize(
    ("used", "live"),
    [
        ([1], {1}),
        ([4], {1, 2, 3, 4}),
        ([5], {1, 2, 5}),
        ([5, 6], {1, 2, 3, 4, 5, 6}),
        ([7], {7}),
        ([0, 8, 1], {1}),
        ([], set()),
    ],
)
def test_alive_is_all_that_the_expression_rests_on(used: list[int], live: set[int]) -> None:
    assert CHAIN.live(used) == live


def test_a_changed_hop_is_as_one_that_was_made_so() -> None:
    hop = Hop(("dog",), "dog", Relation.NEAREST, "h1", Read.PARTS, "legs", Fraction(4), "in the sun")
    assert (hop.referent, hop.levels, hop.to_hop) == ("dog", (2, 1), 1)  # and so these are known
    for changed, made in (
        (hop.without_reading(), Hop(("dog",), "dog", Relation.NEAREST, "h1", words="in the sun")),
        (hop.having_read(Read.COUNT, Fraction(1)), replace(hop, read=Read.COUNT, value=Fraction(1))),
        (hop.having_found(("cat",), None), replace(hop, target=("cat",), value=None)),
        (hop.having_found(("cat", "dog"), Fraction(3)), replace(hop, target=("cat", "dog"), value=Fraction(3))),
    ):
        assert changed == made
        assert (changed.referent, changed.levels, changed.to_hops) == (made.referent, made.levels, made.to_hops)
    assert hop.without_reading().levels == (2,)
    assert hop.having_read(Read.COUNT, Fraction(1)).referent is None
    assert hop.having_found(("cat", "dog"), None).referent is None


ROW: dict[str, Any] = {
    "target": ["a"], "category": "dog", "rel": "named", "to": None, "read": "text", "arg": None, "value": '"SALE"',
    "words": None,
}  # fmt: skip


@pytest.mark.parametrize("value", [None, "caf\u00e9", "", True, False, Fraction(-7, 4), Fraction(0), Fraction(12)])
def test_a_hop_is_the_same_after_its_row(value: Value | None) -> None:
    hop = Hop(("a", "b"), "dog", Relation.ON, "h1", Read.PARTS, "legs", value, "in the sun")
    assert hop_from_row(hop_to_row(hop), 1) == hop
    plain = Hop((), "dog", Relation.NAMED, value=value)
    assert hop_from_row(hop_to_row(plain), 1) == plain
    assert "\\u" not in str(hop_to_row(hop)["value"])


def test_a_row_may_say_nothing_of_words() -> None:
    without = {name: value for name, value in ROW.items() if name != "words"}
    assert hop_from_row(without, 1).words is hop_from_row({**ROW, "words": ""}, 1).words is None


@pytest.mark.parametrize(
    "change", [{"rel": "beside"}, {"read": "smell"}, {"target": None}, {"value": "{"}, {"value": 7}]
)
def test_a_row_that_is_no_hop_is_refused_with_its_number(change: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match=r"^h4: "):
        hop_from_row({**ROW, **change}, 4)


def test_a_reading_has_three_hundred_characters_at_most() -> None:
    longest = '"' + "a" * (LONGEST - 2) + '"'
    assert hop_from_row({**ROW, "value": longest}, 1).value == longest[1:-1]
    with pytest.raises(QueryError, match="301 characters; at most 300"):
        hop_from_row({**ROW, "value": longest[:-1] + 'a"'}, 1)


def test_a_query_is_read_from_its_row_and_only_from_a_whole_one() -> None:
    row = {"question": "Q?", "expr": "1", "answer": "1.5", "hops": [ROW], "combination": ["a", "b"]}
    hop = Hop(("a",), "dog", Relation.NAMED, None, Read.TEXT, value="SALE")
    assert query_from_row(row) == Query("Q?", (hop,), "1", Fraction(3, 2), ("a", "b"))
    without: list[dict[str, Any]] = [{}, {"combination": None}, {"combination": []}]
    for nothing in without:
        bare = {name: value for name, value in row.items() if name != "combination"} | nothing
        assert query_from_row(bare).combination == ()
    for change in ({"question": None}, {"expr": 1}, {"answer": "soon"}, {"hops": None}, {"hops": [ROW, {}]}):
        with pytest.raises(QueryError):
            query_from_row({**row, **change})
    for name in ("question", "expr", "answer", "hops"):
        with pytest.raises(QueryError, match=f"not a query: KeyError: '{name}'"):
            query_from_row({key: value for key, value in row.items() if key != name})
    with pytest.raises(QueryError, match=r"^h2: "):
        query_from_row({**row, "hops": [ROW, {**ROW, "rel": "?"}]})


def test_an_id_is_that_of_a_photo_and_its_question_however_it_is_typed() -> None:
    plain = query_id("photo", "how many dogs?")
    assert plain == hashlib.sha256(b"photo\nhow many dogs?").hexdigest()
    assert query_id("photo", "  How  MANY\ndogs\uff1f ") == plain
    assert len({plain, query_id("other", "how many dogs?"), query_id("photo", "how many cats?")}) == 3


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0"),
        ("-120", "-120"),
        ("1/2", "0.5"),
        ("-1/4", "-0.25"),
        ("1/1000", "0.001"),
        ("5/2", "2.5"),
        ("-41/5", "-8.2"),
        ("1/400", "0.0025"),
        ("12345/8", "1543.125"),
        ("1/3", None),
        ("5/6", None),
        ("1/14", None),
    ],
)
def test_a_decimal_is_written_exactly_or_not_at_all(number: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(ValueError, match="has no exact decimal"):
            decimal_text(Fraction(number))
    else:
        assert decimal_text(Fraction(number)) == text


def test_what_is_too_long_to_be_written_down_is_refused() -> None:
    for number in (Fraction(10**3_000), Fraction(1, 2**9_000)):
        with pytest.raises(ValueError, match="many hundred digits"):
            decimal_text(number)
