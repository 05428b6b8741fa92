"""Bands, intervals and the rule for guessable queries."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.calibration import (
    AttemptScore,
    Band,
    Thresholds,
    band,
    binomial_tail,
    guessable,
    score_attempts,
    too_easy,
    wilson,
)

samples = st.integers(1, 64)
tried = samples.flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_bands_of_eight_samples_are_those_of_the_paper() -> None:
    bands = [band(AttemptScore(right, 8)) for right in range(9)]
    assert bands == [Band.ALL_WRONG] + 2 * [Band.HARD] + 4 * [Band.MEDIUM] + [Band.EASY] + [Band.ALL_RIGHT]


def test_a_threshold_is_met_exactly() -> None:
    assert band(AttemptScore(3, 10), Thresholds(0.3, 0.7)) is Band.HARD
    assert band(AttemptScore(7, 10), Thresholds(0.3, 0.7)) is Band.MEDIUM


@given(tried)
def test_more_right_samples_never_make_a_query_harder(pair: tuple[int, int]) -> None:
    order = list(Band)
    _, n = pair
    places = [order.index(band(AttemptScore(right, n)) or Band.HARD) for right in range(n + 1)]
    assert all(a <= b for a, b in pairwise(places))
    assert places[0] == 0
    assert places[-1] == 4
    assert 0 not in places[1:]
    assert 4 not in places[:-1]


def test_without_samples_nothing_is_said() -> None:
    assert band(AttemptScore()) is None
    assert AttemptScore().share is None
    assert not too_easy(AttemptScore())
    assert not guessable(AttemptScore(), 0.1)
    assert wilson(0, 0) == (0.0, 1.0)


def test_counts_and_adds() -> None:
    assert score_attempts([True, False, True]) + AttemptScore(1, 1) == AttemptScore(3, 4)
    assert AttemptScore(3, 4).share == 0.75


@pytest.mark.parametrize(("hard", "medium"), [(0.0, 0.5), (0.5, 0.5), (0.8, 0.2), (0.5, 1.0)])
def test_thresholds_out_of_order_are_refused(hard: float, medium: float) -> None:
    with pytest.raises(ValueError, match="bands need"):
        Thresholds(hard, medium)


@pytest.mark.parametrize("pair", [(2, 1), (-1, 3)])
def test_impossible_tries_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="impossible"):
        AttemptScore(*pair)


def test_only_all_right_is_too_easy() -> None:
    assert too_easy(AttemptScore(8, 8))
    assert too_easy(AttemptScore(1, 1))
    assert not too_easy(AttemptScore(7, 8))


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.18, 0.5, 1.0])
def test_the_tail_is_what_counting_every_outcome_gives(chance: float) -> None:
    for n in range(1, 7):
        for right in range(n + 1):
            outcomes = (sum(one) for one in product((0, 1), repeat=n))
            counted = sum(chance**k * (1 - chance) ** (n - k) for k in outcomes if k >= right)
            assert binomial_tail(right, n, chance) == pytest.approx(counted)
            assert binomial_tail(right, n, chance) <= 1


def test_guessable_is_what_luck_does_not_explain() -> None:
    assert [guessable(AttemptScore(right, 8), 0.1) for right in (0, 1, 2, 3, 8)] == [False, False, False, True, True]
    assert not any(guessable(AttemptScore(right, 1), 0.1) for right in (0, 1))
    assert not guessable(AttemptScore(8, 8), 1.0)
    assert [guessable(AttemptScore(1, 1), chance) for chance in (0.04, 0.05, 0.06)] == [True, False, False]


@given(tried, st.floats(0.01, 0.5))
def test_more_blind_hits_never_acquit(pair: tuple[int, int], chance: float) -> None:
    _, n = pair
    verdicts = [guessable(AttemptScore(right, n), chance) for right in range(n + 1)]
    assert verdicts == sorted(verdicts)


@pytest.mark.parametrize("chance", [-0.1, 1.1])
def test_a_chance_that_is_none_is_refused(chance: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        binomial_tail(1, 2, chance)


@given(tried)
def test_the_interval_holds_the_share_and_mirrors(pair: tuple[int, int]) -> None:
    right, n = pair
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1
    mirrored = wilson(n - right, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))


@given(tried)
def test_the_ends_are_where_the_share_is_z_standard_errors_away(pair: tuple[int, int]) -> None:
    right, n = pair
    for end in wilson(right, n):
        assert (right / n - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / n, abs=1e-9)
