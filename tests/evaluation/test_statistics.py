"""Intervals cover, tests hold their level, and figures of others come out: on models whose true skill is known."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from hopchain_etl.evaluation.statistics import (
    Clusters,
    accuracy,
    bootstrap,
    design_effect,
    difference,
    holm,
    mcnemar,
    pass_at_k,
    smallest_difference,
    t_quantile,
)
from support.scripted_models import BASELINE, TRAINED, exam

ROUNDS = 1_000


def alone(items: int) -> Clusters:
    """Every question on a photo of its own."""
    return Clusters(np.arange(items))


def test_intervals_cover_the_truth_only_if_photos_are_the_unit() -> None:
    drawn = exam(5)
    truth = drawn.truth(BASELINE), drawn.truth(TRAINED)
    gain = truth[1] - truth[0]
    random = np.random.default_rng(0)
    covered: Counter[str] = Counter()
    for round_ in range(ROUNDS):
        photos, before, after = drawn.sit((BASELINE, TRAINED), 80, random)
        clusters, single = Clusters(photos), alone(len(photos))
        covered["accuracy"] += accuracy(before, clusters).covers(truth[0])
        covered["difference"] += difference(after - before, clusters).covers(gain)
        covered["bootstrap"] += bootstrap(after - before, clusters, seed=round_, draws=300).covers(gain)
        covered["accuracy, questions as units"] += accuracy(before, single).covers(truth[0])
        covered["difference, questions as units"] += difference(after - before, single).covers(gain)
    share = {name: count / ROUNDS for name, count in covered.items()}
    assert all(0.93 <= share[name] <= 0.97 for name in ("accuracy", "difference", "bootstrap")), share
    assert share["accuracy, questions as units"] < 0.93, share
    assert share["difference, questions as units"] < 0.93, share


@pytest.mark.parametrize("photos", [10, 80])
def test_mcnemar_holds_its_level_only_if_photos_are_the_unit(photos: int) -> None:
    random = np.random.default_rng(1)
    found: Counter[str] = Counter()
    for _ in range(ROUNDS):
        names, one, other = exam(5).sit((BASELINE, BASELINE), photos, random)
        found["photos"] += mcnemar(Clusters(names).sums(other - one)) < 0.05
        found["questions"] += mcnemar(other - one) < 0.05
    assert 0.03 <= found["photos"] / ROUNDS <= 0.07, found
    assert found["questions"] > 1.3 * found["photos"], found


@pytest.mark.parametrize(("questions", "changed"), [(15, 0.1), (40, 0.05), (200, 0.02)])
def test_the_interval_of_a_difference_covers_where_few_answers_change(questions: int, changed: float) -> None:
    random = np.random.default_rng(2)
    clusters, covered = alone(questions), 0
    for _ in range(ROUNDS):
        changes = random.choice([1, -1, 0], questions, p=[changed * 0.8, changed * 0.2, 1 - changed])
        covered += difference(changes, clusters).covers(changed * 0.6)
    assert covered / ROUNDS > 0.93


def test_groups_have_the_same_weight_and_may_share_photos() -> None:
    random = np.random.default_rng(6)
    changes, groups = random.integers(-1, 2, 450), np.repeat(["large", "small"], [400, 50])
    parts = [difference(changes[groups == name], alone(int(sum(groups == name)))) for name in ("large", "small")]
    both = difference(changes, alone(450), groups)
    assert both.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    widths = [(one.high or 0) - (one.low or 0) for one in (*parts, both)]
    assert widths[2] == pytest.approx(math.hypot(*widths[:2]) / 2, rel=0.035)  # independent: variances add up
    twice = np.tile(changes[:200], 2)  # the same photos, answered alike, in both groups
    shared = difference(twice, Clusters(np.tile(np.arange(200), 2)), np.repeat(["a", "b"], 200))
    single = difference(changes[:200], alone(200))
    assert (shared.low, shared.high) == pytest.approx((single.low, single.high), abs=0.003)


def test_the_approval_ratings_of_agresti_come_out() -> None:
    """A. Agresti, Categorical Data Analysis (2nd ed., 2002), table 10.1: 1,600 Britons asked twice, 794 150 / 86 570.

    Approval fell by .04, 95 % interval (.02, .06), z² = 17.36.
    """
    changes = np.repeat([0.0, -1.0, 1.0, 0.0], [794, 150, 86, 570])
    found = difference(changes, alone(1600))
    assert found.value == pytest.approx(-0.04)
    assert (round(found.low or 0, 2), round(found.high or 0, 2)) == (-0.06, -0.02)
    again = bootstrap(changes, alone(1600), seed=0)
    assert (round(again.low or 0, 2), round(again.high or 0, 2)) == (-0.06, -0.02)
    assert mcnemar(changes) == pytest.approx(math.erfc(math.sqrt(17.36 / 2)), rel=0.1)  # exact against normal
    assert mcnemar(changes * 100) == pytest.approx(math.erfc(math.sqrt(64**2 / 236 / 2)))  # normal: too many steps


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_of_single_questions_is_the_binomial_test(right: int, wrong: int) -> None:
    balances = [1] * right + [-1] * wrong + [0] * 7
    exact = stats.binomtest(right, right + wrong).pvalue if right + wrong else 1.0
    assert mcnemar(balances, mid=False) == pytest.approx(exact)
    mid = exact - (stats.binom.pmf(right, right + wrong, 0.5) if right != wrong else 0)
    assert mcnemar(balances) == pytest.approx(mid)


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_mcnemar_of_photos_counts_all_signs(balances: list[int]) -> None:
    sums = [abs(sum(a * b for a, b in zip(balances, s, strict=True))) for s in _signs(len(balances))]
    reached = sum(one >= abs(sum(balances)) for one in sums) / len(sums)
    assert mcnemar(balances, mid=False) == pytest.approx(reached)


def _signs(count: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, -1), repeat=count))


def test_parts_of_answers_and_many_of_them_take_the_normal_form() -> None:
    shares = np.array([0.25, -0.5, 0.75] * 30)
    assert mcnemar(shares) == pytest.approx(2 * stats.norm.sf(abs(shares.sum()) / math.sqrt(shares @ shares)))
    many = np.array([1] * 560 + [-1] * 500)
    assert mcnemar(many) == pytest.approx(stats.binomtest(560, 1060).pvalue, abs=0.005)


def test_the_same_seed_gives_the_same_bootstrap_and_any_grouping_of_photos() -> None:
    random = np.random.default_rng(3)
    clusters, changes = Clusters(random.integers(0, 80, 300)), random.integers(-1, 2, 300)
    first = bootstrap(changes, clusters, seed=5)
    assert first == bootstrap(changes, clusters, seed=5) != bootstrap(changes, clusters, seed=6)
    sums = clusters.sums(changes)
    drawn = random.integers(0, clusters.count, (20_000, clusters.count))  # photo by photo, as the textbook does
    low, high = np.quantile(sums[drawn].sum(1) / clusters.sizes[drawn].sum(1), (0.025, 0.975))
    assert (first.low, first.high) == pytest.approx((low, high), abs=0.005)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_model_that_is_always_right_or_wrong_has_an_interval_all_the_same(score: float) -> None:
    clusters = Clusters([f"photo {place // 4}" for place in range(80)])
    found = accuracy([score] * 80, clusters)
    assert found.covers(score)
    assert found.covers(abs(score - 0.1))  # 20 photos do not say more
    assert not found.covers(0.5)
    assert (nothing := difference([0.0] * 80, clusters)).covers(0)
    assert nothing.high is not None
    assert nothing.high > 0.02
    assert mcnemar([0.0] * 20) == 1.0


def test_one_photo_gives_no_interval() -> None:
    clusters = Clusters(["a", "a"])
    for found in (accuracy([1, 0], clusters), difference([1, 0], clusters), bootstrap([1, 0], clusters, seed=0)):
        assert (found.value, found.low, found.high) == (0.5, None, None)
        assert not found.covers(0.5)
    assert design_effect([1, 0], clusters) == 1.0


def test_a_photo_whose_questions_all_go_the_same_way_counts_as_one() -> None:
    random = np.random.default_rng(4)
    values = np.repeat(random.integers(0, 2, 500), 6)
    assert design_effect(values, Clusters(np.repeat(np.arange(500), 6))) == pytest.approx(6, rel=0.01)
    assert design_effect(random.permutation(values), Clusters(np.repeat(np.arange(500), 6))) == pytest.approx(
        1, abs=0.3
    )


@pytest.mark.parametrize(("scores", "photos"), [([1, 0, 0] * 4, np.repeat(range(4), 3)), ([0.1] * 6, np.arange(6))])
def test_rounding_is_no_variance_and_questions_are_worth_no_more_than_there_are(
    scores: list[float], photos: NDArray[np.int_]
) -> None:
    found = accuracy(scores, Clusters(photos))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.3
    assert design_effect(scores, Clusters(photos)) == 1.0
    one_more = accuracy([*scores, scores[0]], Clusters([*photos, 99]))  # now something varies, but hardly anything
    assert (one_more.high or 0) - (one_more.low or 0) > 0.3


def test_means_of_many_answers_may_be_worth_more_than_their_number() -> None:
    scores = np.array([0.4, 0.6] * 50)
    widths = [
        (one.high or 0) - (one.low or 0) for one in (accuracy(scores, alone(100), answers=n) for n in (None, 1_600))
    ]
    assert widths[0] == pytest.approx(0.19, abs=0.01)
    assert widths[1] == pytest.approx(2 * 1.98 * 0.5 / 40, abs=0.001)


def test_gains_and_losses_that_cancel_in_every_photo_have_a_smallest_difference() -> None:
    changes, clusters = [1, -1, 1, -1] * 10, Clusters(np.repeat(range(20), 2))
    effect = design_effect(changes, clusters)
    assert effect == 1.0
    found = smallest_difference(40, discordant=1.0, design_effect=effect)
    assert (
        found == smallest_difference(40, discordant=1.0, design_effect=0.0) == smallest_difference(40, discordant=1.0)
    )
    assert found is not None
    assert found > 0.3


def test_600_questions_find_about_5_7_points() -> None:
    found = smallest_difference(600, discordant=0.25)
    assert found == pytest.approx(0.057, abs=0.0005)
    assert smallest_difference(1200, discordant=0.25, design_effect=2) == pytest.approx(found)
    assert smallest_difference(600, discordant=0.25, design_effect=1.5) == pytest.approx(0.07, abs=0.001)
    assert smallest_difference(20, discordant=0.25) is None
    assert smallest_difference(0, discordant=0.25) is None
    assert smallest_difference(600, discordant=0.0) is None


def test_the_power_is_as_promised() -> None:
    """Draw sets with just the smallest difference, and see how often the test finds it."""
    found, random = smallest_difference(600, discordant=0.25), np.random.default_rng(5)
    assert found is not None
    up = (0.25 + found) / 2
    draws = random.choice([1, -1, 0], (1_000, 600), p=[up, 0.25 - up, 0.75])
    assert np.mean([mcnemar(one) < 0.05 for one in draws]) == pytest.approx(0.8, abs=0.04)


def test_holm_is_that_of_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_choices_with_a_right_one(samples: int, data: st.DataObject) -> None:
    marks = data.draw(st.lists(st.booleans(), min_size=samples, max_size=samples))
    k = data.draw(st.integers(1, samples))
    choices = [any(one) for one in itertools.combinations(marks, k)]
    assert pass_at_k([sum(marks)], [samples], k)[0] == pytest.approx(sum(choices) / len(choices))


def test_pass_at_more_than_the_samples_is_unknown() -> None:
    assert np.isnan(pass_at_k([1], [4], 5)).all()


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 8, 30, 500])
def test_quantiles_are_those_of_student(freedom: int) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.0015)
