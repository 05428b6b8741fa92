"""Relations hold only with margin; whatever is unclear makes a reference ambiguous, never wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.instance import AmbiguousError, TruthValue, matches, parse_phrase, shows_colour
from hopchain_etl.hops.query import SIDES, Relation
from hopchain_etl.hops.scene import Scene
from support.hop_scenes import HEIGHT, WIDTH, price_list, scene, street, text, thing

DOG = thing("dog", "dog", 400, 300, 100, 100)


def finds(
    where: Scene, category: str, rel: Relation, anchor: str | None = None, value: Fraction | None = None
) -> str | None:
    try:
        return where.find(category, rel, where.get(anchor) if anchor else None, value).id
    except AmbiguousError:
        return None


def test_a_name_fits_one_instance_or_none() -> None:
    two = scene(
        DOG, thing("red", "car", 0, 0, 90, 60, colour="red"), thing("blue", "car", 0, 300, 90, 60, colour="blue")
    )
    assert finds(two, "dog", Relation.NAMED) == "dog"
    assert finds(two, "car", Relation.NAMED) is None
    assert finds(two, "red car", Relation.NAMED) == "red"
    assert finds(two, "green car", Relation.NAMED) is None


def test_a_doubtful_colour_or_instance_makes_a_name_ambiguous() -> None:
    reddish = thing("maybe", "car", 600, 0, 90, 60, colours="red,orange")
    red = thing("red", "car", 0, 0, 90, 60, colour="red")
    assert finds(scene(red, reddish), "red car", Relation.NAMED) is None
    assert finds(scene(DOG, thing("d2", "dog", 0, 0, 50, 50, certain=False)), "dog", Relation.NAMED) is None


def test_nearest_needs_a_clear_margin_in_centres_and_edges() -> None:
    near, far = thing("near", "car", 520, 320, 60, 60), thing("far", "car", 800, 320, 60, 60)
    assert finds(scene(DOG, near, far), "car", Relation.NEAREST, "dog") == "near"
    other = thing("other", "car", 300, 320, 60, 60)
    assert finds(scene(DOG, near, other), "car", Relation.NEAREST, "dog") is None
    wide = thing("wide", "car", 505, 0, 490, 790)  # its edge is nearest, its centre is not
    below = thing("below", "car", 420, 480, 60, 60)
    assert finds(scene(DOG, wide, below), "car", Relation.NEAREST, "dog") is None


@pytest.mark.parametrize(
    ("rel", "x", "y"),
    [
        (Relation.LEFT_OF, 100, 320),
        (Relation.RIGHT_OF, 700, 320),
        (Relation.ABOVE, 420, 50),
        (Relation.BELOW, 420, 600),
    ],
)
def test_directions_are_the_viewers(rel: Relation, x: int, y: int) -> None:
    car = thing("car", "car", x, y, 60, 60)
    assert finds(scene(DOG, car), "car", rel, "dog") == "car"
    for other in SIDES - {rel}:
        assert finds(scene(DOG, car), "car", other, "dog") is None


def test_directly_beside_means_the_next_one_of_a_row() -> None:
    where = price_list()
    plums = "t80-210"
    assert finds(where, "number", Relation.RIGHT_OF, plums) == "t600-210"
    assert finds(where, "word", Relation.ABOVE, plums) == "t80-100"
    assert finds(where, "word", Relation.LEFT_OF, "t600-430") == "t80-430"
    assert finds(where, "number", Relation.LEFT_OF, plums) is None


@pytest.mark.parametrize(("longest", "found"), [(500, None), (640, "long")])
def test_the_outermost_of_long_things_leads_by_a_fair_part_of_their_length(longest: int, found: str | None) -> None:
    bars = thing("long", "bar", 100, 100, longest, 60), thing("short", "bar", 100, 300, 400, 60)
    assert (
        finds(scene(*bars), "bar", Relation.RIGHT_OF) == found
    )  # both begin at 100, so ends lead by twice the middles


def test_half_shared_rows_are_unclear() -> None:
    askew = thing("car", "car", 700, 240, 60, 75)  # shares a fifth of its height with the dog
    assert finds(scene(DOG, askew), "car", Relation.RIGHT_OF, "dog") is None


def test_counts_take_in_everything_on_a_side_or_nothing() -> None:
    where = price_list()
    higher = where.count("number", Relation.ABOVE, where.get("t80-430"))
    assert {one.number for one in higher} == {41, 17, 64}
    doubtful = Scene((*where.instances, text("7?", 600, 650, certain=False)), WIDTH, HEIGHT)
    with pytest.raises(AmbiguousError):
        doubtful.count("number", Relation.NAMED)


def test_nearest_value_is_unique_and_not_itself() -> None:
    where = price_list()
    assert finds(where, "number", Relation.NEAREST_VALUE, "t600-320", Fraction(64)) == "t600-540"
    assert finds(where, "number", Relation.NEAREST_VALUE, "t600-430", Fraction(29)) is None  # 17 and 41 are as far
    tie = scene(text("10", 0, 0), text("20", 0, 200), text("15", 0, 400))
    assert finds(tie, "number", Relation.NEAREST_VALUE, "t0-400", Fraction(15)) is None
    mixed = scene(text("10", 0, 0), text("Room 12", 0, 200), text("14", 0, 400))
    assert finds(mixed, "number", Relation.NEAREST_VALUE, "t0-400", Fraction(14)) is None


def test_the_other_of_two() -> None:
    pair = scene(DOG, thing("d2", "dog", 0, 0, 50, 50))
    assert finds(pair, "dog", Relation.OTHER, "dog") == "d2"
    three = scene(DOG, thing("d2", "dog", 0, 0, 50, 50), thing("d3", "dog", 800, 0, 50, 50))
    assert finds(three, "dog", Relation.OTHER, "dog") is None


def test_sizes_need_a_margin() -> None:
    big, small = thing("big", "car", 0, 0, 200, 100), thing("small", "car", 500, 0, 100, 50)
    assert finds(scene(big, small), "car", Relation.LARGEST) == "big"
    assert finds(scene(big, small), "car", Relation.SMALLEST) == "small"
    assert finds(scene(big, thing("b2", "car", 500, 300, 190, 100)), "car", Relation.LARGEST) is None


def test_text_printed_on_an_object() -> None:
    bus = thing("bus", "bus", 100, 100, 500, 300, masked=True)
    on = thing("on", "text", 200, 200, 120, 40, text="CENTRE", masked=True)
    off = thing("off", "text", 700, 200, 120, 40, text="TAXI", masked=True)
    assert finds(scene(bus, on, off), "word", Relation.INSIDE, "bus") == "on"


@pytest.mark.parametrize(
    ("phrase", "parts"),
    [
        ("car", (None, "car", None)),
        ("red car", ("red", "car", None)),
        ("traffic light", (None, "traffic light", None)),
        ("green traffic light", ("green", "traffic light", None)),
        ('word "SALE"', (None, "word", "SALE")),
        ("the guy's hat!", (None, "the guy's hat!", None)),
    ],
)
def test_phrases(phrase: str, parts: tuple[str | None, str, str | None]) -> None:
    assert parse_phrase(phrase) == parts


def test_what_counts_as_a_word_or_a_number() -> None:
    assert matches(text("Apples", 0, 0), "word") is TruthValue.YES
    assert matches(text("Fresh figs", 0, 0), "word") is TruthValue.UNCLEAR
    assert matches(text("42", 0, 0), "word") is TruthValue.NO
    assert matches(text("4.50", 0, 0), "number") is TruthValue.YES
    assert matches(text("$4.50", 0, 0), "number") is TruthValue.UNCLEAR
    assert matches(text("Room 12", 0, 0), "number") is TruthValue.UNCLEAR
    assert matches(text("SALE TODAY", 0, 0), 'word "SALE"') is TruthValue.UNCLEAR


def test_absent_and_main_colours() -> None:
    car = thing("c", "car", 0, 0, 9, 9, colour="red", colours="red,black")
    assert [shows_colour(car, colour) for colour in ("red", "black", "blue")] == [
        TruthValue.YES,
        TruthValue.UNCLEAR,
        TruthValue.NO,
    ]


@given(st.integers(0, 400), st.sampled_from([*sorted(SIDES), Relation.NEAREST, Relation.LARGEST, Relation.OTHER]))
def test_mirroring_the_image_mirrors_the_relations(seed: int, rel: Relation) -> None:
    """No relation depends on anything but positions: flip the scene and left and right change places."""
    plain = street(seed)
    flipped = Scene(
        tuple(
            thing(i.id, i.category, WIDTH - i.box[2], i.box[1], i.width, i.height, certain=i.certain, colour=i.colour)
            for i in plain.instances
        ),
        WIDTH,
        HEIGHT,
    )
    opposite = {Relation.LEFT_OF: Relation.RIGHT_OF, Relation.RIGHT_OF: Relation.LEFT_OF}.get(rel, rel)
    anchor = plain.instances[0].id
    for category in ("car", "dog", "red car"):
        assert finds(plain, category, rel, anchor) == finds(flipped, category, opposite, anchor)


@given(st.integers(0, 400), st.sampled_from([*sorted(SIDES), Relation.NEAREST, Relation.NAMED, Relation.SMALLEST]))
def test_a_doubtful_instance_never_changes_an_answer(seed: int, rel: Relation) -> None:
    """Adding something that may or may not be there can only take a reference away."""
    plain = street(seed)
    more = Scene((*plain.instances, thing("x", "car", 450, 350, 60, 60, certain=False)), WIDTH, HEIGHT)
    anchor = plain.instances[0].id
    before, after = finds(plain, "car", rel, anchor), finds(more, "car", rel, anchor)
    assert after is None or after == before
