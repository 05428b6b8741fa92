"""The little language: exact, total on hostile input, and never Python's eval."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.expression import ExpressionError, evaluate, number_of, parse
from hopchain_etl.hops.query import decimal_text

SHEEP = {1: Fraction(2), 2: False, 3: Fraction(0), 5: "writing", 6: Fraction(3)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("((h1+h3)*letters(h5)+if(h2,5,10))*h6", Fraction(72)),
        ("1+2*3", Fraction(7)),
        ("(1+2)*3", Fraction(9)),
        ("7-2-1", Fraction(4)),
        ("8/4/2", Fraction(1)),
        ("--3", Fraction(3)),
        ("1-(-h1)", Fraction(3)),
        ("0.1+0.2", Fraction(3, 10)),
        ("1/3*3", Fraction(1)),
        ('if(h5=="Writing ",1,2)', Fraction(1)),
        ('if("-"==h5,1,2)', Fraction(2)),
        ("if(h6>=3,1,1/0)", Fraction(1)),
        ("if(h1!=2,1,if(h6<3,4,5))", Fraction(5)),
    ],
)
def test_evaluates_exactly(text: str, value: Fraction) -> None:
    assert number_of(parse(text), SHEEP) == value


@pytest.mark.parametrize(
    "text",
    ["", "1+", "h0", "h1 h2", "(1", "1)", "max(h1,h2)", "__import__('os')", "if(1,2)", "letters(3)", "h1=2", "1e9",
     "'a'", '"a', "(" * 60 + "1" + ")" * 60, "1" * 401, "h1*\u0663",
     "h\u0661"],
)  # fmt: skip
def test_rejects_what_is_not_in_the_language(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    "text", ["h1+h2", "h5+1", "letters(h1)", "h9", "1/(h3)", "if(h1,1,2)", 'h1=="a"', '"a"<"b"', "h2"]
)
def test_refuses_wrong_types(text: str) -> None:
    with pytest.raises(ExpressionError):
        number_of(parse(text), SHEEP)


numbers = st.decimals(0, 1000, places=4, allow_nan=False).map(Fraction)


@given(numbers)
def test_decimals_survive_writing_and_reading(number: Fraction) -> None:
    assert number_of(parse(decimal_text(number)), {}) == number
    assert Fraction(decimal_text(-number)) == -number


trees = st.recursive(
    st.one_of(
        st.integers(0, 50).map(lambda n: (str(n), Fraction(n))),
        st.integers(1, 3).map(lambda n: (f"h{n}", Fraction(n * 7))),
    ),
    lambda below: st.tuples(below, st.sampled_from("+-*"), below).map(
        lambda t: (
            f"({t[0][0]} {t[1]} {t[2][0]})",
            {"+": t[0][1] + t[2][1], "-": t[0][1] - t[2][1], "*": t[0][1] * t[2][1]}[t[1]],
        )
    ),
    max_leaves=8,
)


@given(trees)
def test_agrees_with_plain_arithmetic(tree: tuple[str, Fraction]) -> None:
    assert number_of(parse(tree[0]), {n: Fraction(n * 7) for n in (1, 2, 3)}) == tree[1]


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        tree = parse(text)
        evaluate(tree, SHEEP)
    except ExpressionError:
        pass
