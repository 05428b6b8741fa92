"""Combinations: always allowed, never twice, the same everywhere, and more often the ones that make good questions."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.combinations import combinations
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.scene import Scene
from support.hop_scenes import HEIGHT, WIDTH, scene, thing

CATEGORIES = st.sampled_from(["car", "dog", "bench", "text"])
THINGS = st.builds(
    lambda category, x, y, w, h, certain, colour: (category, x, y, w, h, certain, colour),
    CATEGORIES, st.integers(0, 900), st.integers(0, 700), st.integers(1, 100), st.integers(1, 100),
    st.booleans(), st.sampled_from([None, "red", "blue"]),
)  # fmt: skip
SIZES = st.tuples(st.integers(3, 6), st.integers(3, 6)).map(lambda pair: (min(pair), max(pair)))


def scene_of(things: list[tuple[str, int, int, int, int, bool, str | None]]) -> Scene:
    found = [
        thing(f"i{n}", category, x, y, w, h, certain=certain, colour=colour)
        for n, (category, x, y, w, h, certain, colour) in enumerate(things)
    ]
    return scene(*found)


@given(st.lists(THINGS, max_size=12), st.integers(1, 8), SIZES, st.integers(0, 3))
def test_combinations_keep_the_rules(
    things: list[tuple[str, int, int, int, int, bool, str | None]], count: int, size: tuple[int, int], seed: int
) -> None:
    place = scene_of(things)
    certain = {one.id for one in place.instances if one.certain}
    found = combinations(place, count, size, seed)
    assert len(found) <= count
    assert bool(found) == (len(certain) >= size[0])
    assert len({frozenset(one) for one in found}) == len(found)
    for one in found:
        assert size[0] <= len(one) == len(set(one)) <= size[1]
        assert set(one) <= certain


@given(st.lists(THINGS, min_size=4, max_size=10), st.randoms(use_true_random=False))
def test_order_changes_nothing_and_more_goes_on(
    things: list[tuple[str, int, int, int, int, bool, str | None]], rng: random.Random
) -> None:
    place = scene_of(things)
    shuffled = list(place.instances)
    rng.shuffle(shuffled)
    assert combinations(place, 3) == combinations(replace(place, instances=tuple(shuffled)), 3)
    assert combinations(place, 5)[:3] == combinations(place, 3)


def drawn(*instances: Instance) -> Counter[str]:
    """How often each instance is in a combination of three, over many seeds."""
    place = Scene(instances, WIDTH, HEIGHT)
    return Counter(one for seed in range(300) for found in combinations(place, 1, (3, 3), seed) for one in found)


def test_mixed_categories_neighbours_and_the_unmistakable_are_favoured() -> None:
    crowd = [thing(f"car{n}", "car", 100 * n, 300, 60, 60) for n in range(6)]
    often = drawn(*crowd, thing("dog", "dog", 250, 400, 60, 60))
    assert often["dog"] > 1.5 * max(often[one.id] for one in crowd)

    row = [thing(f"n{n}", kind, 100 * n, 100, 60, 60) for n, kind in enumerate(["car", "dog", "bench"])]
    often = drawn(*row, thing("far", "bird", 900, 700, 60, 60))
    assert often["far"] < min(often[one.id] for one in row)

    red = [thing(name, "car", x, 300, 60, 60, colour=name) for name, x in (("red", 100), ("blue", 300))]
    often = drawn(*red, *(thing(f"w{n}", "car", 500 + 90 * n, 300, 60, 60, colour="white") for n in range(4)))
    assert min(often["red"], often["blue"]) > max(often[f"w{n}"] for n in range(4))
