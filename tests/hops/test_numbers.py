from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.execute import value_sought
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.instance import AmbiguousError
from hopchain_etl.hops.numbers import exact_number
from hopchain_etl.hops.query import Hop, QueryError, Relation, decimal_text, hop_from_row, hop_to_row, query_from_row

HUGE = ["2e1000000000", "1E-1000000000", "9" * 100_000, "1." + "0" * 100_000]


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_a_decimal_is_read_exactly(number: int, places: int) -> None:
    value = Fraction(number, 10**places)
    assert exact_number(decimal_text(value)) == value


@pytest.mark.parametrize("written", [*HUGE, "", "seven", "1/0", "nan", float("inf"), float("nan"), None, True, [], {}])
def test_anything_else_is_no_number_and_takes_no_time(written: Any) -> None:
    with pytest.raises(ValueError):
        exact_number(written)
    with pytest.raises(QueryError):
        query_from_row({"question": "?", "hops": [], "expr": "1", "answer": written})


@pytest.mark.parametrize("written", HUGE)
def test_no_field_of_a_program_reads_a_huge_number(written: str) -> None:
    hop = Hop(("a",), "sign", Relation.NEAREST_VALUE, written)
    with pytest.raises(AmbiguousError):
        value_sought([hop], hop)
    with pytest.raises(QueryError):
        hop_from_row(hop_to_row(hop) | {"value": written}, 1)


@given(st.integers(2, 10**290), st.integers(40, 130))
def test_a_result_too_long_to_write_down_is_an_error(reading: int, times: int) -> None:
    for sign in "*/":
        tree = parse(sign.join(["1", *["h1"] * times]))
        try:
            text = decimal_text(number_of(tree, {1: Fraction(reading)}))
        except (ExpressionError, ValueError):
            continue
        assert len(text) < 10_000
