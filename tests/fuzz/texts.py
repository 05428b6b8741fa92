"""Texts of models and people: completions, expressions, conditions."""

from __future__ import annotations

from fractions import Fraction

import pyarrow.compute as pc
from hypothesis import strategies as st

from fuzz.target import Target
from hopchain_etl import schemas
from hopchain_etl.hops.expression import ExpressionError, evaluate, number_of, parse
from hopchain_etl.hops.expression_analysis import hops_named
from hopchain_etl.hops.grading import declared_answer, is_correct, parse_number
from hopchain_etl.hops.query import decimal_text
from support.grading_cases import CASES

READINGS = {1: Fraction(3), 2: "red", 3: True, 4: Fraction(-1, 3), 5: Fraction(10**200)}


def pieces(words: list[str]) -> st.SearchStrategy[str]:
    """Draw texts of words, and of any characters between them."""
    return st.lists(st.sampled_from(words) | st.text(max_size=3), max_size=40).map("".join)


def graded(text: str) -> None:
    """A completion declares a text or nothing, and a number is exact, and found again if written plainly."""
    assert isinstance(is_correct(text, "24"), bool)
    place = declared_answer(text)
    assert place is None or (place and place == place.strip())
    for answer in (text, place or ""):
        number = parse_number(answer)
        if number is None:
            continue
        assert parse_number(f" {answer}\n") == number
        written = f"{number.numerator}/{number.denominator}"
        assert len(written) > 80 or is_correct(f"<answer>{written}</answer>", written)


def evaluated(text: str) -> None:
    """An expression is refused with ExpressionError, or gives a number that can be written down, or another value."""
    try:
        tree = parse(text)
        hops_named(tree)
        evaluate(tree, READINGS)
        number = number_of(tree, READINGS)
    except ExpressionError:
        return
    try:
        assert Fraction(decimal_text(number)) == number
    except ValueError:
        assert number.denominator > 1


def compared(text: str) -> None:
    """A condition on rows is a filter, or a ValueError that says what is wrong."""
    from hopchain_etl.training_set.dataset import parse_condition

    try:
        condition = parse_condition(text, schemas.TRAINING_ROWS)
    except ValueError:
        return
    assert isinstance(condition, pc.Expression)


MARKUP = [
    r"<answer>",
    r"</answer>",
    r"<think>",
    r"</think>",
    r"\boxed{",
    r"}",
    r"{",
    r"\frac{",
    r"\text{",
    r"\times",
    r"10^",
    r"^2",
    r"^\circ",
    r"$",
    r"\%",
    r"**",
    r"`",
    r"-",
    r"+",
    r".",
    r",",
    r"/",
    r"24",
    r"1,234",
]
COMPLETIONS = st.sampled_from([case.completion for case in CASES] + [case.text for case in CASES])
TARGETS = (
    Target(
        "grading",
        st.one_of(
            pieces([*MARKUP, " ", "\n", "half", "dozen", "million", "minus"]),
            st.lists(COMPLETIONS, max_size=3).map("".join),
        ),
        graded,
    ),
    Target(
        "expression",
        pieces(
            [
                "h1",
                "h2",
                "h3",
                "h4",
                "h5",
                "h9",
                "if(",
                "letters(",
                "(",
                ")",
                ",",
                "+",
                "-",
                "*",
                "/",
                "==",
                "!=",
                "<",
                ">=",
                '"red"',
                "2",
                "0",
                "1.5",
            ]
        ),
        evaluated,
    ),
    Target(
        "condition",
        pieces(["answer", "n_hops", "split", "hops", "width", "==", ">=", "!=", "=", " ", "null", "3", "true"]),
        compared,
    ),
)
