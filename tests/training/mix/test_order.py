"""Shares as whole numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.training.mix.order import largest_remainder

WEIGHTS = st.lists(st.floats(0.001, 1_000), min_size=1, max_size=8)


@given(st.integers(0, 10**7), WEIGHTS)
def test_counts_have_the_sum_and_are_each_less_than_one_from_their_share(total: int, shares: list[float]) -> None:
    counts = largest_remainder(total, shares)
    exact = [Fraction(str(share)) for share in shares]
    assert sum(counts) == total
    for count, share in zip(counts, exact, strict=True):
        assert abs(count - total * share / sum(exact)) < 1


@pytest.mark.parametrize(
    ("total", "shares", "counts"),
    [(10, [0.7, 0.2, 0.1], [7, 2, 1]), (10, [1, 1, 1], [4, 3, 3]), (7, [3, 1], [5, 2]), (1, [1, 1], [1, 0])],
)
def test_known_shares(total: int, shares: list[float], counts: list[int]) -> None:
    assert largest_remainder(total, shares) == counts
