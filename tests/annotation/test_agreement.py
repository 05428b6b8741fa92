"""Cohen's kappa: his own example, and what holds for any two raters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation.agreement import kappa

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=40)


def test_cohens_own_example() -> None:
    # Cohen (1960), table 1: proportions of 200 patients, two raters, three categories; kappa = .492.
    table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
    pairs = [(a, b) for a, row in enumerate(table) for b, count in enumerate(row) for _ in range(count)]
    assert kappa(pairs) == pytest.approx(0.492, abs=5e-4)


def test_full_agreement_chance_and_nothing_to_tell() -> None:
    assert kappa([("a", "a"), ("b", "b")]) == 1
    assert kappa([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]) == 0
    assert kappa([("a", "b"), ("b", "a")]) == -1
    assert kappa([]) is None
    assert kappa([("a", "a"), ("a", "a")]) is None


@given(PAIRS)
def test_kappa_does_not_depend_on_order_or_on_who_is_first(pairs: list[tuple[str, str]]) -> None:
    found = kappa(pairs)
    assert found == kappa(pairs[::-1]) == kappa([(b, a) for a, b in pairs])
    assert found is None or -1 <= found <= 1
