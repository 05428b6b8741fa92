"""The little language: exact, total on hostile input, and never Python's eval."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.expression import ExpressionError, evaluate, letters, number_of, parse
from hopchain_etl.hops.query import Value, decimal_text

SHEEP: dict[int, Value] = {1: Fraction(2), 2: False, 3: Fraction(0), 5: "writing", 6: Fraction(3)}


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


@pytest.mark.parametrize(
    ("sign", "truths"),
    [
        ("==", (False, True, False)),
        ("!=", (True, False, True)),
        ("<", (True, False, False)),
        ("<=", (True, True, False)),
        (">", (False, False, True)),
        (">=", (False, True, True)),
    ],
)
def test_each_sign_compares_numbers_as_it_says(sign: str, truths: tuple[bool, ...]) -> None:
    for left, truth in zip(("2/3", "1-1/4", "h6/4+1"), truths, strict=True):
        assert evaluate(parse(f"{left} {sign} 3/4"), SHEEP) is truth
        assert number_of(parse(f"if({left}{sign}3/4,2,1)"), SHEEP) == 1 + truth


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('h5==" WRITING"', True),
        ('h5!="writing"', False),
        ('"a"!="b"', True),
        ("h2==h2", True),
        ("h2!=(1<2)", True),
        ("h5", "writing"),
        ('"Open 24"', "Open 24"),
        ("h1", Fraction(2)),
        ("2*h6", Fraction(6)),
        ("6/4", Fraction(3, 2)),
        ("6/3", Fraction(2)),
        ("---3", Fraction(-3)),
        ("- -h1*3", Fraction(6)),
        ("2--1", Fraction(3)),
        ("2*-h6", Fraction(-6)),
        ("letters(h5)", Fraction(7)),
        ("if(h2,h9,h1)", Fraction(2)),  # no other branch is looked at
        ("if(!", None),
        ("if h2,1,2)", None),
        ("letters h5", None),
        ("letters(h5", None),
        ("letters(letters(h5))", None),
        ("if(h2;1,2)", None),
        ("if(h2,1;2)", None),
        ("if(h2,1,2", None),
        ("1<2<3", None),
        ("h2==1", None),
        ("h2==h5", None),
        ("-h5", None),
        ("-h2", None),
        ('"a">="a"', None),
        ("h1*(1<2)", None),
        ("if(h5,1,2)", None),
        ("1/(h1-2)", None),
    ],
)
def test_a_value_has_its_type_and_nothing_is_turned_into_another(text: str, value: Value | None) -> None:
    if value is None:
        with pytest.raises(ExpressionError):
            evaluate(parse(text), SHEEP)
    else:
        found = evaluate(parse(text), SHEEP)
        assert (found, type(found)) == (value, type(value))


def test_an_expression_may_be_long_and_nested_to_a_limit() -> None:
    assert number_of(parse("1+" * 199 + "11"), {}) == 210  # 400 characters
    assert number_of(parse("(" * 39 + "7" + ")" * 39), {}) == 7
    assert number_of(parse("+".join(["(1)"] * 90)), {}) == 90  # one after another is not nested
    assert number_of(parse("h99"), {99: Fraction(5)}) == 5
    for text in ("1+" * 199 + "111", "(" * 40 + "7" + ")" * 40, "h100", "h1h2"):
        with pytest.raises(ExpressionError):
            parse(text)


def test_a_tree_is_walked_from_its_root_through_every_part() -> None:
    kinds = [node.kind for node in parse('if(h1=="a",-2,letters(h3)/4)').walk()]
    assert kinds == ["if", "==", "negate", "/", "hop", "text", "number", "letters", "number"]


@pytest.mark.parametrize(("text", "count"), [("Open 24 h!", 5), ("\u00c4pfel", 5), ("", 0), ("12-34", 0)])
def test_only_letters_count_as_letters(text: str, count: int) -> None:
    assert letters(text) == count
    assert number_of(parse("letters(h1)"), {1: text}) == count
