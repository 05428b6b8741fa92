"""A small sample of ``make mutations``: what is spoiled is caught, what is good passes (3 s)."""

from __future__ import annotations

import random

import pytest

from hopchain_etl.hops.checks import check
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Query
from hopchain_etl.hops.scene import Scene
from support import mutations
from support.hop_scenes import price_list, street

Good = list[tuple[Query, Scene]]


@pytest.fixture(scope="module")
def good() -> Good:
    scenes = [price_list(), *map(street, range(4))]
    return [(query, scene) for scene in scenes for query in write_queries(scene, 4)]


def test_good_queries_pass(good: Good) -> None:
    assert len(good) >= 12
    assert all(check(*one)[0] == [] for one in good)


@pytest.mark.parametrize("operator", mutations.OPERATORS, ids=lambda operator: operator.__name__)
def test_every_mutant_is_caught(operator: mutations.Operator, good: Good) -> None:
    rng = random.Random(0)
    spoiled = [mutant for one in good if (mutant := operator(*one, rng))]
    wrong = [mutant for mutant in spoiled if not check(*mutant)[0] and not mutations.still_true(*mutant)]
    assert spoiled
    assert wrong == []


@pytest.mark.parametrize(
    "operator",
    [
        mutations.arithmetic.two_answers,
        mutations.arithmetic.zero_factor,
        mutations.arithmetic.cancelled,
        mutations.wording.forbidden_word,
    ],
)
def test_what_is_true_but_worthless_is_caught_as_well(operator: mutations.Operator, good: Good) -> None:
    rng = random.Random(1)
    assert all(check(*mutant)[0] for one in good if (mutant := operator(*one, rng)))


def test_what_a_scene_has_kept_changes_no_verdict(good: Good) -> None:
    rng = random.Random(2)
    spoiled = [mutant for one in good for operator in mutations.OPERATORS if (mutant := operator(*one, rng))]
    refused = 0
    for query, scene in spoiled:  # mostly the scene of a good query, which has been asked by all mutants before
        said = check(query, scene)
        assert said == check(query, Scene(scene.instances, scene.width, scene.height))
        refused += bool(said[0])
    assert refused > 100
