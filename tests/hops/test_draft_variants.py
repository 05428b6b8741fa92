"""Half and single variants of a draft keep its targets and readings, start from a description, and compute anew."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from hopchain_etl.hops.checks import DRAFT_VARIANT_RULES, check
from hopchain_etl.hops.draft_variants import first_hop, variant_of_draft
from hopchain_etl.hops.expression import ExpressionError
from hopchain_etl.hops.query import Hop, Query, Read, Relation
from support.hop_scenes import price_list

SIX = Query(
    "...",
    (
        Hop(("a",), "shop", Relation.NAMED),
        Hop(("b",), "man", Relation.NEAREST, "h1"),
        Hop(("c",), "sign", Relation.ABOVE, "h2", Read.NUMBER, value=Fraction(12)),
        Hop(("d",), "sign", Relation.NEAREST, "h3", Read.TEXT, value="Bread"),
        Hop(("e",), "loaf", Relation.MATCHING, "letters(h4)", Read.COLOUR, value="brown"),
        Hop(("f", "g"), "person", Relation.RIGHT_OF, "h5", Read.COUNT, value=Fraction(2)),
    ),
    'h3+letters(h4)*if(h5=="brown",2,3)+h6',
    Fraction(24),
    ("a", "b", "c", "d", "e"),
)


@pytest.mark.parametrize(("kind", "count", "first"), [("half", 6, 4), ("half", 5, 3), ("half", 4, 3), ("single", 5, 5)])
def test_where_a_variant_begins(kind: str, count: int, first: int) -> None:
    assert first_hop(kind, count) == first


def test_a_half_describes_its_first_target_and_counts_its_hops_anew() -> None:
    half = variant_of_draft("half", SIX, "What ...?", 'letters(h4)*if(h5=="brown",2,3)+h6', "over the door")
    assert half.hops == (
        replace(SIX.hops[3], rel=Relation.NAMED, to=None, words="over the door"),
        replace(SIX.hops[4], to="letters(h1)"),
        replace(SIX.hops[5], to="h2"),
    )
    assert half.expr == 'letters(h1)*if(h2=="brown",2,3)+h3'
    assert half.answer == 12
    assert half.combination == ("d", "e")


def test_a_count_keeps_what_it_starts_from_and_that_is_described() -> None:
    single = variant_of_draft("single", SIX, "How many ...?", "h6*2", "with seeds")
    assert single.hops == (
        Hop(("e",), "loaf", Relation.NAMED, words="with seeds"),
        replace(SIX.hops[5], to="h1"),
    )
    assert (single.expr, single.answer) == ("h2*2", 4)


def test_a_count_of_the_whole_picture_starts_from_nothing() -> None:
    total = Hop(("f", "g"), "person", Relation.NAMED, None, Read.COUNT, value=Fraction(2))
    single = variant_of_draft("single", replace(SIX, hops=(*SIX.hops[:5], total)), "How many?", "h6", None)
    assert single.hops == (total,)
    assert (single.expr, single.answer, single.combination) == ("h1", 2, ())


@pytest.mark.parametrize(
    ("kind", "expr"),
    [
        ("half", "h3+letters(h4)"),  # h3 is dropped
        ("single", "7"),  # reads nothing
        ("half", "letters(h4)+h7"),  # there is none
        ("half", "h4+h6"),  # a text is no number
        ("half", "letters(h4"),
    ],
)
def test_an_expression_of_other_hops_is_refused(kind: str, expr: str) -> None:
    with pytest.raises(ExpressionError):
        variant_of_draft(kind, SIX, "?", expr, None)


@pytest.mark.parametrize("to", ["h2", "h3", "h7"])
def test_a_hop_that_starts_from_a_dropped_one_or_from_none_is_refused(to: str) -> None:
    back = replace(SIX, hops=(*SIX.hops[:4], replace(SIX.hops[4], rel=Relation.NEAREST, to=to), SIX.hops[5]))
    with pytest.raises(ExpressionError, match=f"{to}, which it drops"):
        variant_of_draft("half", back, "?", "letters(h4)+h6", "over the door")


def test_a_count_that_starts_from_itself_is_refused() -> None:
    """What a draft refers to is not checked yet."""
    itself = Hop((), "dot", Relation.ON, "h6", Read.COUNT, value=Fraction(2))
    with pytest.raises(ExpressionError, match="h6 starts from a later hop"):
        variant_of_draft("single", replace(SIX, hops=(*SIX.hops[:5], itself)), "?", "h6", "red")


def test_a_count_from_several_things_is_refused() -> None:
    several = replace(SIX.hops[4], target=("e", "x"))
    with pytest.raises(ExpressionError, match="several"):
        variant_of_draft("single", replace(SIX, hops=(*SIX.hops[:4], several, SIX.hops[5])), "?", "h6", "red")


def test_a_text_in_quotes_is_no_hop() -> None:
    """A sign may say h2."""
    read = replace(SIX.hops[4], read=Read.TEXT, value="h2")
    asks = replace(SIX, hops=(*SIX.hops[:4], read, SIX.hops[5]))
    half = variant_of_draft("half", asks, "?", 'if(h5=="h2",h6,1)', "over the door")
    assert (half.expr, half.answer) == ('if(h2=="h2",h3,1)', 2)


def test_a_variant_is_checked_like_a_draft() -> None:
    """A description is believed, a reading is not."""
    scene = price_list()
    hops = (
        Hop(("t80-210",), 'word "Plums"', Relation.NAMED),
        Hop(("t600-210",), "number", Relation.RIGHT_OF, "h1", Read.NUMBER, value=Fraction(17)),
        Hop(("t600-430",), "number", Relation.NEAREST_VALUE, "h2", Read.NUMBER, value=Fraction(29)),
        Hop(("t80-430",), "word", Relation.LEFT_OF, "h3", Read.TEXT, value="Figs"),
    )
    good = Query("?", hops, "h2+h3*letters(h4)", Fraction(133), ("t80-210", "t600-210", "t600-430", "t80-430"))
    asked = "Take the price of figs ... What is it times the letters of the word?"
    half = variant_of_draft("half", good, asked, "h3*letters(h4)", "in the fourth row")
    assert check(half, scene, DRAFT_VARIANT_RULES)[0] == []
    wrong = replace(good, hops=(*hops[:2], replace(hops[2], value=Fraction(28)), hops[3]))
    half = variant_of_draft("half", wrong, asked, "h3*letters(h4)", "in the fourth row")
    assert [one.reason for one in check(half, scene, DRAFT_VARIANT_RULES)[0]] == ["contradicted_reading"]
