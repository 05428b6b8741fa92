"""What people would call a thing from where they stand, and what all of them would count the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hopchain_etl.hops.instance import TEXT, Instance
from hopchain_etl.hops.phrasing import (
    is_countable,
    is_natural_phrase,
    may_be_part,
    may_have_its_colour,
    phrases,
    ways_to_count,
)
from hopchain_etl.hops.query import SIDES, Relation
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import Step, StepFinder
from support.hop_scenes import HEIGHT, WIDTH, line, scene, text, thing

OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}
PLACES = st.lists(
    st.tuples(
        st.sampled_from(["car", "dog", "tree"]),
        st.integers(0, 9),
        st.integers(0, 7),
        st.integers(-30, 30),
        st.integers(40, 90),
    ),
    min_size=3,
    max_size=9,
    unique_by=lambda one: one[1:3],
)


def laid_out(places: list[tuple[str, int, int, int, int]]) -> Scene:
    """Things in a loose grid of 100 px, each pushed aside a little."""
    made = [
        thing(f"{kind}{n}", kind, 100 * column + push, 100 * row - push, size, size)
        for n, (kind, column, row, push, size) in enumerate(places)
    ]
    return scene(*made)


def sideways(found: Scene) -> list[tuple[Instance, Step]]:
    """Return every step to what is directly on a side of a thing, with that thing."""
    finder = StepFinder(found)
    return [(one, step) for one in found.instances for step in finder.exits(one) if step.rel in SIDES]


def directly_below(name: str, found: Scene) -> list[str]:
    return [step.target.id for one, step in sideways(found) if one.id == name and step.rel is Relation.BELOW]


def turned(one: Instance, rel: Relation) -> tuple[float, float, float, float]:
    """Return a box so that ``rel`` is to the right: start, top, end, bottom."""
    x1, y1, x2, y2 = one.box
    return {
        Relation.RIGHT_OF: (x1, y1, x2, y2),
        Relation.LEFT_OF: (-x2, y1, -x1, y2),
        Relation.BELOW: (y1, x1, y2, x2),
        Relation.ABOVE: (-y2, x1, -y1, x2),
    }[rel]


@given(PLACES)
def test_what_is_directly_beside_is_in_line_and_the_next_thing_there(
    places: list[tuple[str, int, int, int, int]],
) -> None:
    found = laid_out(places)
    for anchor, step in sideways(found):
        here, there = turned(anchor, step.rel), turned(step.target, step.rel)
        shared = min(here[3], there[3]) - max(here[1], there[1])
        assert shared >= 0.75 * min(here[3] - here[1], there[3] - there[1])
        assert there[0] >= here[2] - 0.25 * min(here[2] - here[0], there[2] - there[0])
        for other in found.instances:
            start, top, end, bottom = turned(other, step.rel)
            on_the_way = here[2] <= start and end <= there[0]
            covers_both = top <= min(here[1], there[1]) and bottom >= max(here[3], there[3])
            assert not (on_the_way and covers_both), f"{other.id} is jumped over"


@given(PLACES)
def test_the_mirrored_picture_has_the_mirrored_steps(places: list[tuple[str, int, int, int, int]]) -> None:
    found = laid_out(places)
    mirrored = Scene(
        tuple(
            replace(one, box=(WIDTH - one.box[2], HEIGHT - one.box[3], WIDTH - one.box[0], HEIGHT - one.box[1]))
            for one in found.instances
        ),
        WIDTH,
        HEIGHT,
    )
    steps = {(anchor.id, step.rel, step.target.id) for anchor, step in sideways(found)}
    assert steps == {(anchor.id, OPPOSITE[step.rel], step.target.id) for anchor, step in sideways(mirrored)}


@given(PLACES, st.sampled_from([True, False]))
def test_whatever_stands_in_between_ends_it(places: list[tuple[str, int, int, int, int]], certain: bool) -> None:
    found = laid_out(places)
    steps = sideways(found)
    assume(steps)
    anchor, step = steps[0]
    (ax, ay), (bx, by) = anchor.centre, step.target.centre
    post = thing("post", "post", (ax + bx) / 2 - 15, (ay + by) / 2 - 15, 30, 30, certain=certain)
    assume(all(post.box[k] >= one.box[k + 2] or one.box[k] >= post.box[k + 2]
               for one in (anchor, step.target) for k in [0 if abs(ax - bx) > abs(ay - by) else 1]))  # fmt: skip
    changed = sideways(Scene((*found.instances, post), WIDTH, HEIGHT))
    assert (anchor.id, step.rel, step.target.id) not in {(one.id, now.rel, now.target.id) for one, now in changed}


@pytest.mark.parametrize(
    ("push", "said"), [(0, True), (20, True), (30, False), (60, False)], ids=["even", "nearly", "uneven", "slight"]
)
def test_what_hangs_over_by_more_than_a_quarter_is_not_directly_below(push: int, said: bool) -> None:
    found = scene(
        thing("lamp", "lamp", 300, 100, 100, 100),
        thing("cat", "cat", 300 + push, 300, 100, 100),
        thing("other", "cat", 800, 600, 100, 100),
    )
    assert directly_below("lamp", found) == (["cat"] if said else [])


@pytest.mark.parametrize(("push", "said"), [(0, True), (12, False), (30, True), (110, True), (150, False)])
def test_what_hangs_from_a_corner_is_not_directly_below(push: int, said: bool) -> None:
    found = scene(
        thing("board", "board", 300, 100, 200, 100),
        thing("cat", "cat", 300 + push, 300, 50, 50),
        thing("other", "cat", 800, 600, 50, 50),
    )
    assert directly_below("board", found) == (["cat"] if said else [])


def test_things_of_any_height_that_stand_on_one_line_are_next_to_each_other() -> None:
    found = scene(*(thing(f"bar{n}", "bar", 100 + 100 * n, 600 - 100 * n, 80, 50 + 100 * n) for n in range(5)))
    steps = {(anchor.id, step.target.id) for anchor, step in sideways(found) if step.rel is Relation.RIGHT_OF}
    assert steps == {(f"bar{n}", f"bar{n + 1}") for n in range(4)}


def test_what_is_only_partly_higher_up_is_not_counted() -> None:
    lamp = thing("lamp", "lamp", 300, 300, 100, 100)
    higher = thing("one", "cat", 600, 100, 100, 100)
    for top, counted in ((190, 2), (215, 2), (230, 0)):
        partly = thing("two", "cat", 800, top, 100, 100)
        finder = StepFinder(scene(lamp, higher, partly))
        assert len(finder.count("cat", Relation.ABOVE, lamp)) == counted


def test_a_colour_that_one_of_them_may_have_names_none() -> None:
    sure = [thing(f"c{n}", "cup", 200 * n, 100, 50, 50, colour=colour) for n, colour in enumerate(("red", "blue"))]
    maybe = thing("c2", "cup", 600, 100, 50, 50, colours="blue, white")
    names = StepFinder(scene(*sure, maybe)).names
    assert "red cup" in names
    assert "blue cup" not in names


def test_lines_of_text_are_counted_above_and_below_and_things_on_all_sides() -> None:
    board = thing("board", "board", 100, 100, 200, 200)
    assert ways_to_count(TEXT, board) == [Relation.ABOVE, Relation.BELOW]
    assert ways_to_count("car", board) == sorted(SIDES)


def test_the_parts_of_a_legend_and_of_a_chart_lead_to_each_other_by_no_place() -> None:
    patches = [thing(f"patch{n}", "legend patch", 100, 100 + 60 * n, 20, 20) for n in range(2)]
    found = scene(*patches, *(thing(f"bar{n}", "bar", 200 + 80 * n, 100, 30, 80) for n in range(2)))
    finder, places = StepFinder(found), SIDES | {Relation.NEAREST}
    steps = [
        (one.category, step.target.category)
        for one in found.instances
        for step in finder.exits(one)
        if step.rel in places
    ]
    assert ("bar", "bar") in steps
    assert ("legend patch", "legend patch") in steps
    assert {start == end for start, end in steps} == {True}


def tiles(*heights: int, left: int = 100, said: str | None = None, kind: str = "tile") -> list[Instance]:
    """Things 100 px wide in a row, of these heights."""
    return [thing(f"{kind}{n}", kind, left + 150 * n, 100, 100, high, text=said) for n, high in enumerate(heights)]


@pytest.mark.parametrize(
    ("things", "complete", "countable"),
    [
        (tiles(100), False, False),  # one needs no count
        (tiles(100, 300), False, True),
        (tiles(100, 301), False, False),  # 301 / 100 says that the scene has depth
        (tiles(50, 500), True, True),
        (tiles(50, 501), True, False),
        (tiles(10, 600, said="7", kind="bar"), False, True),  # a chart has no depth
        (tiles(10, 600, kind="bar"), False, False),  # bars of a cage may have some
        ([*tiles(10, said="7", kind="bar"), *tiles(600, left=600, kind="bar")], False, False),
        (tiles(100, 100, kind="cup"), False, False),  # some may not have been found
        ([*tiles(100, 100), thing("cut", "tile", 0, 500, 20, 90)], False, True),
        ([*tiles(100, 100), thing("sliver", "tile", 0, 500, 20, 83)], False, False),
        ([*tiles(100, 100), *(thing(f"cut{n}", "tile", 0, 400 + n, 20, n) for n in (83, 90))], False, False),
        ([thing(f"cut{n}", "tile", 0, 100 * n, 80, 80) for n in range(3)], False, False),
        ([*tiles(100, 100), *tiles(10, kind="dog", left=600)], False, True),
    ],
)
def test_things_are_countable_if_none_can_be_overlooked(
    things: list[Instance], complete: bool, countable: bool
) -> None:
    found = replace(scene(*things), complete=complete)
    name = things[0].category
    assert is_countable(found, name) is countable
    assert is_countable(found, f"white {name}") is countable


def test_lines_are_countable_on_a_page_only() -> None:
    lines = [line(f"l{n}", "some words", 100, 100 + 30 * n) for n in range(6)]
    assert is_countable(scene(*lines[:5]), "text")
    assert is_countable(scene(*reversed(lines)), "text")
    assert not is_countable(scene(*lines[:4]), "text")
    assert not is_countable(scene(*lines[:5], replace(lines[5], certain=False)), "text")
    for top, whole in ((125, True), (124, False)):  # the line above ends at 120; a quarter of a line may overlap
        assert is_countable(scene(*lines[2:], lines[0], line("near", "words", 500, top - 10)), "text") is whole


def test_numbers_are_countable_where_all_text_is_found() -> None:
    numbers = [text(said, 100 + 150 * n, 100) for n, said in enumerate(("11", "12"))]
    assert is_countable(scene(*numbers), "number")
    assert not is_countable(replace(scene(*numbers), complete=True), "number")


@pytest.mark.parametrize(
    ("name", "of", "is_part"),
    [
        ("wheel", "car", True),
        ("red wheel", "car", True),
        ("dog", "car", False),
        ("wheel", "wheel", False),
        ("wheel", "door", False),  # which is a part itself
        ("wheel", "text", False),
    ],
)
def test_only_what_is_a_part_by_its_name_is_asked_for_as_one(name: str, of: str, is_part: bool) -> None:
    anchor = thing("anchor", of, 100, 100, 200, 200)
    assert may_be_part(name, anchor) is is_part
    assert ways_to_count(name, anchor) == [*sorted(SIDES), *([Relation.IN] if is_part else [])]


def test_colour_leads_between_a_chart_and_its_legend_only() -> None:
    patch, bar, cell, car = (thing(kind, kind, 0, 0, 9, 9) for kind in ("legend patch", "bar", "cell", "car"))
    assert may_have_its_colour("bar", patch)
    assert may_have_its_colour("legend patch", bar)
    for name, anchor in (("legend patch", patch), ("bar", bar), ("legend patch", cell), ("car", patch), ("bar", car)):
        assert not may_have_its_colour(name, anchor), (name, anchor.category)


def test_a_text_is_not_the_nearest_where_another_stands_in_the_row() -> None:
    anchor, below, beside = text("11", 300, 300), text("22", 300, 350), text("33", 420, 300)
    found = scene(anchor, below, beside)
    assert found.find("number", Relation.NEAREST, anchor) is below
    assert not is_natural_phrase(found, "number", Relation.NEAREST, below, anchor)
    assert is_natural_phrase(found, "number", Relation.BELOW, below, anchor)
    assert not is_natural_phrase(found, "text", Relation.BELOW, below, anchor)  # but a number
    left = text("44", 246, 300)
    assert not is_natural_phrase(scene(anchor, left, beside), "number", Relation.NEAREST, left, anchor)
    nearer = text("33", 348, 300)
    assert is_natural_phrase(scene(anchor, below, nearer), "number", Relation.NEAREST, nearer, anchor)


def test_a_colour_tells_what_is_nearest_and_not_what_is_directly_beside() -> None:
    dog = thing("dog", "dog", 100, 300, 60, 60)
    red, blue = (
        thing(colour, "car", 200 + 600 * n, 300, 60, 60, colour=colour) for n, colour in enumerate(("red", "blue"))
    )
    other = thing("other", "car", 800, 600, 60, 60, colour="red")
    found = scene(dog, red, blue, other)
    assert is_natural_phrase(found, "red car", Relation.NEAREST, red, dog)
    assert is_natural_phrase(found, "car", Relation.RIGHT_OF, red, dog)
    assert not is_natural_phrase(found, "red car", Relation.RIGHT_OF, red, dog)


def test_what_has_a_nearer_one_of_its_kind_on_that_side_is_not_directly_there() -> None:
    dog, car = thing("dog", "dog", 100, 300, 60, 60), thing("car", "car", 400, 300, 60, 60)
    for left, said in ((250, False), (600, True)):
        found = scene(dog, car, thing("out of the row", "car", left, 230, 60, 60))
        assert is_natural_phrase(found, "car", Relation.RIGHT_OF, car, dog) is said


@pytest.mark.parametrize(("size", "said"), [(103, True), (105, False)])
def test_two_of_a_kind_are_beside_each_other_at_about_one_distance(size: int, said: bool) -> None:
    """Up to three times the area: 60 x 60 px and 103.9 x 103.9."""
    one, other = thing("one", "car", 100, 300, 60, 60), thing("other", "car", 180, 330 - size / 2, size, size)
    found = scene(one, other, thing("third", "car", 900, 700, 60, 60))
    assert is_natural_phrase(found, "car", Relation.NEAREST, other, one) is said


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (thing("a", "car", 0, 0, 9, 9, colour="red"), ["car", "red car"]),
        (thing("a", "person", 0, 0, 9, 9, colour="red"), ["person"]),  # whose colour would it be
        (thing("a", "cup", 0, 0, 9, 9), []),  # some may not have been found
        (thing("a", "car", 0, 0, 9, 9, certain=False), []),
        (text("Figs", 0, 0), ['word "Figs"']),
        (text("47", 0, 0), ['number "47"']),
        (text("Open all day", 0, 0), ['text "Open all day"']),
        (text("a", 0, 0), []),  # one letter is soon found elsewhere
        (text('say "no"', 0, 0), []),
    ],
    ids=lambda value: value.id if isinstance(value, Instance) else None,
)
def test_a_thing_is_called_by_its_noun_its_colour_or_what_it_says(one: Instance, said: list[str]) -> None:
    assert list(phrases(one)) == said


def test_the_sliver_of_a_thing_is_called_nothing_if_one_of_its_kind_is_whole() -> None:
    dog, sliver = thing("dog", "dog", 100, 300, 60, 60), thing("sliver", "car", 0, 300, 20, 60)
    small, whole = thing("small", "car", 500, 600, 60, 60), thing("whole", "car", 700, 100, 100, 100)
    assert is_natural_phrase(scene(dog, sliver, small), "car", Relation.LEFT_OF, sliver, dog)
    assert not is_natural_phrase(scene(dog, sliver, small, whole), "car", Relation.LEFT_OF, sliver, dog)


def test_the_largest_of_one_that_is_sure_is_said_of_none() -> None:
    large, small = thing("large", "car", 100, 300, 200, 200), thing("small", "car", 500, 300, 60, 60)
    unsure = replace(small, id="unsure", certain=False)
    for others, said in (((small,), True), ((unsure,), False), ((small, unsure), True)):
        assert is_natural_phrase(scene(large, *others), "car", Relation.LARGEST, large, None) is said
    assert is_natural_phrase(scene(large, unsure), "car", Relation.NAMED, large, None)


@pytest.mark.parametrize(("left", "cut_off"), [(0, True), (2, True), (3, False)])
@pytest.mark.parametrize("side", range(4))
def test_what_lies_within_two_px_of_any_edge_is_cut_off(left: int, cut_off: bool, side: int) -> None:
    """A sliver is not counted with whole things, where something small and whole would be counted."""
    x, y = [(left, 300), (WIDTH - 20 - left, 300), (300, left), (300, HEIGHT - 60 - left)][side]
    sliver, wholes = thing("sliver", "car", x, y, 20, 60), tiles(100, 100, kind="car")
    found = replace(scene(*wholes, sliver), complete=True)
    assert is_countable(found, "car") is not cut_off


@pytest.mark.parametrize(("height", "said"), [(101, False), (100, True)])
def test_a_sliver_is_less_than_a_sixth_of_the_largest(height: int, said: bool) -> None:
    """Of 120 x 100 px and 121.2 x 100; and so it is where things are counted."""
    dog, part = thing("dog", "dog", 100, 300, 60, 100), thing("part", "car", 0, 300, 20, 100)
    whole = thing("whole", "car", 700, 100, 120, height)
    assert is_natural_phrase(scene(dog, part, whole), "car", Relation.LEFT_OF, part, dog) is said
    assert is_countable(scene(part, whole), "car") is said


@pytest.mark.parametrize(("height", "said"), [(120, True), (121, False)])
def test_three_times_the_area_is_still_at_one_distance(height: int, said: bool) -> None:
    one, other = thing("one", "car", 100, 300, 60, 60), thing("other", "car", 180, 270, 90, height)
    found = scene(one, other, thing("third", "car", 900, 700, 60, 60))
    for here, there in ((one, other), (other, one)):
        assert is_natural_phrase(found, "car", Relation.NEAREST, there, here) is said
    bars = scene(*(replace(each, category="bar") for each in found.instances))
    assert is_natural_phrase(bars, "bar", Relation.NEAREST, bars.get("other"), bars.get("one"))  # charts are flat


def test_of_two_the_other_is_not_called_the_nearest() -> None:
    dog, near, far = (thing(name, kind, x, 300, 60, 60) for name, kind, x in (
        ("dog", "dog", 100), ("near", "car", 200), ("far", "car", 700),
    ))  # fmt: skip
    assert is_natural_phrase(scene(dog, near, far), "car", Relation.NEAREST, near, dog)
    assert not is_natural_phrase(scene(near, far), "car", Relation.NEAREST, far, near)
    assert is_natural_phrase(scene(near, far), "car", Relation.OTHER, far, near)


def test_what_is_often_missed_is_only_told_by_what_is_beside_it() -> None:
    dog, near, far = (thing(name, kind, x, 300, 60, 60) for name, kind, x in (
        ("dog", "dog", 100), ("near", "cup", 200), ("far", "cup", 700),
    ))  # fmt: skip
    found = scene(dog, near, far)
    assert not is_natural_phrase(found, "cup", Relation.OTHER, far, near)
    assert not is_natural_phrase(found, "cup", Relation.LEFT_OF, near, None)
    assert is_natural_phrase(found, "cup", Relation.NEAREST, near, dog)
    assert is_natural_phrase(scene(near, far), "cup", Relation.NEAREST, far, near)  # there may be a third
    assert is_natural_phrase(found, "cup", Relation.RIGHT_OF, near, dog)
