"""Combinations: chains by construction, never twice, the same everywhere, varied, and of what is easy to see."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.truth import seen
from hopchain_etl.hops.chain_search import chainable
from hopchain_etl.hops.combinations import RECIPE, combinations
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.links import LinkFinder
from hopchain_etl.hops.scene import Scene
from hopchain_etl.scenes import draw
from hopchain_etl.scenes.oracle import PERFECT
from support.hop_scenes import HEIGHT, WIDTH, price_list, scene, street, text, thing
from support.pinned_scenes import SCENES

PINNED = [("t80-100", "t80-210", "t80-320"), ("t600-210", "t600-100", "t600-320", "t600-430", "t600-540")]
DIGESTS = {
    "prices": "0f817a8253378fe1",
    "chart": "e4c85e8b93ac2d31",
    "devices": "b400412b6ea46dcb",
    "page": "bea7da073c37b000",
    "sweets": "9c5c455683f16d91",
    "few bars": "c3bbc829bc4577e4",
    "small numbers": "c28739a22db8e55b",
    "street": "33050467d9d9222c",
    "another street": "846244af2701f528",
}
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
    assert len({frozenset(one) for one in found}) == len(found)
    for one in found:
        assert size[0] <= len(one) == len(set(one)) <= size[1]
        assert set(one) <= certain
        assert chainable(place, one)


@given(st.integers(0, 500), st.integers(0, 3))
def test_each_is_a_tree_of_links(scene_seed: int, seed: int) -> None:
    """In the order of a combination, the first can be found first, and each other one from one before it."""
    place = street(scene_seed)
    finder = LinkFinder(place, [one for one in place.instances if one.certain])
    for found in combinations(place, 5, seed=seed):
        assert found[0] in finder.starts
        for n, one in enumerate(found[1:], start=1):
            assert any(one in finder.exits(place.get(before)) for before in found[:n])


@given(st.lists(THINGS, min_size=4, max_size=10), st.randoms(use_true_random=False))
def test_order_changes_nothing_and_more_goes_on(
    things: list[tuple[str, int, int, int, int, bool, str | None]], rng: random.Random
) -> None:
    place = scene_of(things)
    shuffled = list(place.instances)
    rng.shuffle(shuffled)
    assert combinations(place, 3) == combinations(replace(place, instances=tuple(shuffled)), 3)
    assert combinations(place, 5)[:3] == combinations(place, 3)


def test_the_same_on_any_machine() -> None:
    assert combinations(price_list(), 2) == PINNED
    assert RECIPE["version"] == 2


@pytest.mark.parametrize("name", DIGESTS)
def test_what_is_drawn_of_many_kinds_of_scenes_is_the_same_on_any_machine(name: str) -> None:
    """Where other combinations are meant to be drawn, RECIPE has another version, and these are new ones."""
    found = [one for seed in range(3) for one in combinations(SCENES[name], 4, seed=seed)]
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == DIGESTS[name], found


def test_most_scenes_give_as_many_as_are_asked_for() -> None:
    assert sum(len(combinations(street(seed), 5)) for seed in range(30)) >= 140
    assert len(combinations(price_list(), 5)) == 5


def test_nothing_where_names_suffice_or_things_are_too_few() -> None:
    lone = [thing(name, name, 150 * n, 300, 60, 60) for n, name in enumerate(("car", "dog", "bench", "bird"))]
    assert combinations(scene(*lone), 5) == []
    assert combinations(scene(*crowd(2)), 5) == []
    assert combinations(scene(), 5) == []
    assert combinations(scene(*crowd(4)), 5, (5, 6)) == []


def crowd(count: int, category: str = "car", y: int = 300) -> list[Instance]:
    """A row of things of one name."""
    return [thing(f"{category}{n}", category, 100 * n, y, 60, 60) for n in range(count)]


def drawn(*instances: Instance, size: int = 3) -> Counter[str]:
    """How often each instance is in the first combination, over many seeds."""
    place = Scene(instances, WIDTH, HEIGHT)
    return Counter(one for seed in range(60) for found in combinations(place, 1, (size, size), seed) for one in found)


def test_slivers_and_specks_are_never_drawn() -> None:
    for w, h, visible in ((8, 600, False), (10, 10, False), (40, 600, True), (40, 40, True)):
        often = drawn(*crowd(6), thing("odd", "car", 650, 310, w, h))
        assert bool(often["odd"]) == visible
        assert often["car1"]


def test_what_is_just_wide_enough_is_drawn() -> None:
    for width, visible in ((13, True), (12, False)):  # 0.013 of the root of the photo's area
        photo = Scene((*crowd(6), thing("odd", "car", 650, 310, width, 600)), 1000, 1000)
        found = {one for seed in range(60) for drawn in combinations(photo, 1, (3, 3), seed) for one in drawn}
        assert ("odd" in found) == visible


def test_near_things_are_favoured_and_far_ones_never_joined() -> None:
    near, far = thing("near", "dog", 200, 380, 60, 60), thing("far", "dog", 900, 740, 60, 60)
    often = drawn(*crowd(5), near, far)
    assert often["near"] > 5
    assert often["far"] == 0


def test_what_the_words_may_mean_too_makes_a_link_rare() -> None:
    dog, unsure = thing("dog", "dog", 210, 390, 60, 60), thing("unsure", "dog", 262, 390, 60, 60, certain=False)
    assert 20 < drawn(*crowd(5), dog, unsure)["dog"] < 35, "47 if a link that is not proven had a higher weight"


def test_a_label_comes_with_its_thing() -> None:
    """Each bar has its number right above it, and a number that belongs to nothing is as near to the next bar."""
    bars = [thing(f"bar{n}", "bar", 150 * n + 20, 300, 60, 300) for n in range(6)]
    labels = [text(str(11 + n), 150 * n + 25, 255) for n in range(6)]
    pairs = 0
    for seed in range(60):
        for found in combinations(scene(*bars, *labels), 1, (4, 4), seed):
            pairs += sum(f"bar{n}" in found and label.id in found for n, label in enumerate(labels))
    assert pairs >= 95, "of four in a combination, nearly two pairs; without a higher weight 88"


def test_only_text_on_a_page_alone() -> None:
    page = price_list()
    assert all(page.get(one).text for found in combinations(page, 5) for one in found)
    mixed = Scene((*page.instances, *crowd(4, y=680)), WIDTH, HEIGHT)
    found = [one for seed in range(10) for one in combinations(mixed, 5, seed=seed)]
    assert found
    assert all(any(not mixed.get(name).text for name in one) for one in found)


def test_links_that_no_chain_can_use_are_not_drawn() -> None:
    """From the car to the unread line and on to "A" there are links, but the wrong line would lead to "A" as well."""
    unread = thing("unread", "text", 539, 488, 174, 192)
    lines = [thing("A", "text", 375, 161, 27, 125, text="A"), thing("12", "text", 38, 296, 99, 144, text="12")]
    place = scene(unread, *lines, thing("dog", "dog", 888, 26, 174, 62), thing("car", "car", 823, 599, 134, 93))
    finder = LinkFinder(place, place.instances)
    assert "unread" in finder.exits(place.get("car"))
    assert "A" in finder.exits(unread)
    found = {frozenset(one) for seed in range(40) for one in combinations(place, 3, (3, 3), seed)}
    assert found
    assert frozenset(("car", "unread", "A")) not in found


def test_one_thing_under_two_names_is_taken_once() -> None:
    place = scene(*crowd(5), *(replace(one, id=f"van{n}", category="van") for n, one in enumerate(crowd(5))))
    for seed in range(20):
        for found in combinations(place, 5, seed=seed):
            assert len({one[3:] for one in found}) == len(found)


def test_the_combinations_of_a_photo_differ() -> None:
    """Of a crowded scene, few share most of their instances, and they do not all start at the same thing."""
    shared = []
    for seed in range(20):
        found = [set(one) for one in combinations(street(seed), 4)]
        shared += [len(a & b) / len(a | b) for n, a in enumerate(found) for b in found[:n]]
        assert len({one[0] for one in combinations(street(seed), 4)}) >= min(2, len(found))
    assert sum(shared) / len(shared) < 0.3


def test_on_drawn_scenes_every_combination_has_a_chain() -> None:
    for kind in ("street", "bars", "menu"):
        place = seen(draw(kind, 1), PERFECT)
        found = combinations(place, 5)
        assert len(found) == 5
        assert all(chainable(place, one) for one in found)


@pytest.mark.parametrize(("height", "visible"), [(10, True), (9, False)])
def test_a_line_is_drawn_if_its_letters_are_high_enough(height: int, visible: bool) -> None:
    """A hundredth of the root of the photo's area."""
    low = thing("low", "text", 300, 110, 120, height, text="Ripe")
    photo = Scene((*price_list().instances, low), 1000, 1000)
    found = {one for seed in range(40) for drawn in combinations(photo, 1, (3, 3), seed) for one in drawn}
    assert ("low" in found) is visible


@pytest.mark.parametrize(("things", "page"), [(2, True), (3, False)])
def test_with_three_things_a_photo_is_no_page(things: int, page: bool) -> None:
    photo = Scene((*price_list().instances, *crowd(things, y=680)), WIDTH, HEIGHT)
    found = [one for seed in range(6) for one in combinations(photo, 4, seed=seed)]
    assert found
    assert any(all(photo.get(name).text for name in one) for one in found) is page
