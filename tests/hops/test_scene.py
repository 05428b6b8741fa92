"""A scene: what a phrase fits, what words may mean, and what may be counted."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hopchain_etl.hops.instance import AmbiguousError, TruthValue
from hopchain_etl.hops.query import HOLDS, SIDES, Relation
from hopchain_etl.hops.scene import Scene
from support.hop_scenes import HEIGHT, WIDTH, filled, finds, line, price_list, scene, shaped, text, thing

YES, UNCLEAR = TruthValue.YES, TruthValue.UNCLEAR
DOG = thing("dog", "dog", 400, 300, 100, 100, colour="brown")
RED, BLUE = (
    thing(colour, "car", 600 + 200 * n, 300, 90, 60, colour=colour) for n, colour in enumerate(("red", "blue"))
)
REDDISH = thing("reddish", "car", 100, 600, 90, 60, colours="red,orange")


def test_what_a_scene_knows() -> None:
    silent, written = scene(DOG, RED), price_list()
    assert silent.knows("dog")
    assert silent.knows("green dog")
    assert silent.knows("number")
    assert not silent.knows("cat")
    assert not silent.knows('dog "Rex"')
    assert written.knows('word "Rex"')
    assert silent.categories == {"dog", "car"}
    assert scene(DOG, thing("9f86d081", "car", 0, 0, 9, 9)).ids_to_avoid == ("9f86d081",)
    assert [one.text for one in scene(DOG, text("12", 0, 0)).texts] == ["12"]
    with pytest.raises(KeyError):
        silent.get("cat")


def test_a_further_reading_is_of_the_thing_itself_if_the_phrase_fits_it() -> None:
    found = scene(DOG, RED, BLUE, REDDISH)
    assert list(found.meant("brown dog", Relation.NAMED, DOG)) == [(DOG, YES)]
    assert list(found.meant("red car", Relation.NAMED, REDDISH)) == [(REDDISH, UNCLEAR)]
    assert list(found.meant("car", Relation.NAMED, DOG)) == []
    assert [one.id for one, _ in found.meant("car", Relation.NAMED)] == ["red", "blue", "reddish"]


def test_what_is_ambiguous_stays_so_when_it_is_asked_again() -> None:
    found = scene(DOG, RED, BLUE)
    for _ in range(2):
        with pytest.raises(AmbiguousError, match="largest of 1"):
            found.find("dog", Relation.LARGEST)
        with pytest.raises(AmbiguousError, match="cannot be counted"):
            found.count("car", Relation.NEAREST, DOG)
        assert found.find("car", Relation.NEAREST, DOG) is RED
        assert found.find("car", Relation.RIGHT_OF, RED) is BLUE
        assert found.find("car", Relation.RIGHT_OF, DOG) is RED


def test_a_thing_shows_a_colour_a_text_or_a_number() -> None:
    buses = [thing(f"bus{n}", "bus", 300 * n, 100, 250, 100, masked=True) for n in range(4)]
    lines = [
        line("a", "Harbour", 100, 140),
        line("b", "47", 400, 140),
        line("c", "47", 660, 120),
        line("d", "x", 660, 160),
    ]
    found = scene(*buses, *lines, RED, BLUE, REDDISH, text("12", 100, 700))

    def shown(category: str, value: Fraction | str) -> dict[str, TruthValue]:
        return {one.id: truth for one, truth in found.meant(category, Relation.MATCHING, value=value)}

    assert shown("car", "red") == {"red": YES, "reddish": UNCLEAR}
    assert shown("number", "red") == {"b": UNCLEAR, "c": UNCLEAR, "t100-700": UNCLEAR}
    assert shown("bus", "Harbour") == {"bus0": YES, "bus3": UNCLEAR}  # nothing was read on the last one
    assert shown("bus", Fraction(47)) == {"bus1": YES, "bus2": UNCLEAR, "bus3": UNCLEAR}  # which has two lines
    assert found.fits(buses[0], 'bus "Harbour"') is YES
    assert found.fits(buses[1], 'bus "Harbour"') is TruthValue.NO
    assert found.lines_on(lines[0]) == ((lines[0], YES),)


def test_counts_are_of_all_or_of_a_side_or_of_what_holds_them() -> None:
    found = scene(DOG, RED, BLUE)
    assert found.count("car", Relation.NAMED) == (RED, BLUE)
    assert found.count("car", Relation.RIGHT_OF, DOG) == (RED, BLUE)
    assert found.count("car", Relation.LEFT_OF, DOG) == ()
    assert found.count("car", Relation.RIGHT_OF, RED) == (BLUE,)
    for rel in set(Relation) - SIDES - HOLDS - {Relation.NAMED}:
        with pytest.raises(AmbiguousError, match="cannot be counted"):
            found.countable("car", rel, DOG)
    with pytest.raises(AmbiguousError, match="cannot be counted"):
        found.countable("car", Relation.LEFT_OF)
    with pytest.raises(AmbiguousError, match="not clear how many: red car"):
        scene(RED, REDDISH).count("red car", Relation.NAMED)


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


def test_the_one_that_matches_a_value() -> None:
    where = scene(
        shaped("s1", "sign", filled(100, 100, 200, 80), "red"), line("l1", "6%", 150, 130),
        shaped("s2", "sign", filled(100, 300, 200, 80), "blue"), line("l2", "Bread", 150, 330),
        shaped("s3", "sign", filled(500, 300, 200, 80), "red,brown"), line("l3", "16", 550, 330),
    )  # fmt: skip
    assert finds(where, "sign", Relation.MATCHING, value=Fraction(6)) == "s1"
    assert finds(where, "sign", Relation.MATCHING, value="bread") == "s2"
    assert finds(where, "sign", Relation.MATCHING, value="blue") == "s2"
    assert finds(where, "sign", Relation.MATCHING, value="red") is None  # the third may be called red
    assert finds(where, "sign", Relation.MATCHING, "s1", value=Fraction(6)) is None  # not itself
    assert finds(where, "sign", Relation.NEAREST_VALUE, value=Fraction(12)) == "s3"
    unread = Scene((*where.instances, shaped("s4", "sign", filled(500, 100, 200, 80), "green")), WIDTH, HEIGHT)
    assert finds(unread, "sign", Relation.MATCHING, value=Fraction(6)) is None  # OCR may have missed a six
    assert finds(unread, "sign", Relation.NEAREST_VALUE, value=Fraction(12)) is None
    assert finds(unread, "sign", Relation.MATCHING, value="green") == "s4"


def test_a_quoted_text_may_be_on_the_thing() -> None:
    signs = [shaped(f"s{n}", "sign", filled(100 + 300 * n, 100, 200, 80)) for n in range(2)]
    both = scene(*signs, line("l0", "Bread", 150, 130), line("l1", "Milk", 450, 130))
    assert finds(both, 'sign "Milk"', Relation.NAMED) == "s1"
    assert finds(scene(*signs, line("l0", "Bread", 150, 130)), 'sign "Bread"', Relation.NAMED) is None
