"""Each rule refuses what it is there for, and a good query passes them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from hopchain_etl.hops.checks import PROOF_RULES, RULES, check
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_from_row, hop_to_row, query_id
from hopchain_etl.hops.scene import Scene
from support.hop_scenes import HEIGHT, WIDTH, price_list, text, thing

SCENE = price_list()
PLUMS, SEVENTEEN, TWENTY_NINE, FIGS = "t80-210", "t600-210", "t600-430", "t80-430"
ABOVE_FIGS = ("t600-100", "t600-210", "t600-320")
GOOD = Query(
    'Find the word "Plums". ... What is A + B × C − D?',
    (
        Hop((PLUMS,), 'word "Plums"', Relation.NAMED),
        Hop((SEVENTEEN,), "number", Relation.RIGHT_OF, "h1", Read.NUMBER, value=Fraction(17)),
        Hop((TWENTY_NINE,), "number", Relation.NEAREST_VALUE, "h2", Read.NUMBER, value=Fraction(29)),
        Hop((FIGS,), "word", Relation.LEFT_OF, "h3", Read.TEXT, value="Figs"),
        Hop(ABOVE_FIGS, "number", Relation.ABOVE, "h4", Read.COUNT, value=Fraction(3)),
    ),
    "h2+h3*letters(h4)-h5",
    Fraction(130),
    (PLUMS, SEVENTEEN, TWENTY_NINE, FIGS),
)


def reasons(query: Query, scene: Scene = SCENE) -> set[str]:
    return {complaint.reason for complaint in check(query, scene, PROOF_RULES)[0]}


def with_hop(number: int, **changes: object) -> Query:
    hops = list(GOOD.hops)
    hops[number - 1] = replace(hops[number - 1], **changes)  # type: ignore[arg-type]
    return replace(GOOD, hops=tuple(hops))


TOTAL = replace(GOOD.hops[4], rel=Relation.NAMED, to=None)  # takes in the whole image
BROKEN: list[tuple[str, Callable[[], Query]]] = [
    ("hop_count", lambda: replace(GOOD, hops=GOOD.hops[:3], expr="h2+h3", answer=Fraction(46))),
    ("forward_reference", lambda: with_hop(2, to="h3")),
    ("forward_reference", lambda: with_hop(2, to="h2")),
    ("forward_reference", lambda: with_hop(2, to="the first")),
    ("forward_reference", lambda: replace(GOOD, expr="h2+h3*letters(h4)-h9")),
    ("dangling_id", lambda: with_hop(4, target=("not-there",))),
    ("instance_count", lambda: replace(GOOD, combination=(PLUMS, SEVENTEEN))),
    ("instance_count", lambda: replace(GOOD, combination=(*GOOD.combination, "t80-100", "t80-540"))),
    ("instance_count", lambda: replace(GOOD, combination=(PLUMS, SEVENTEEN, "t80-100"))),
    ("chain_broken", lambda: with_hop(4, category='word "Figs"', rel=Relation.NAMED, to=None)),
    ("chain_broken", lambda: replace(GOOD, hops=(*GOOD.hops[:3], TOTAL, GOOD.hops[3]))),
    ("one_level_only", lambda: replace(GOOD, hops=tuple(hop for hop in GOOD.hops if hop.level == 2))),
    ("no_perception_hop", lambda: replace(GOOD, hops=tuple(hop for hop in GOOD.hops if hop.level == 2))),
    ("no_instance_chain", lambda: replace(GOOD, hops=(GOOD.hops[0], GOOD.hops[1]) * 2)),
    ("dead_hop", lambda: replace(GOOD, expr="h2+h3*letters(h4)", answer=Fraction(133))),
    ("bad_expression", lambda: replace(GOOD, expr="h2+h1")),
    ("bad_expression", lambda: replace(GOOD, expr="max(h2,h3)")),
    ("wrong_answer", lambda: replace(GOOD, answer=Fraction(131))),
    ("answer_out_of_range", lambda: replace(GOOD, answer=Fraction(1, 3))),
    ("answer_out_of_range", lambda: replace(GOOD, answer=Fraction(10**6))),
    ("insensitive", lambda: replace(GOOD, expr="(h2+h3*letters(h4))*(h5-3)", answer=Fraction(0))),
    ("insensitive", lambda: replace(GOOD, expr="h2+h3*letters(h4)-if(h5>9,3,3)")),
    ("forbidden_word", lambda: replace(GOOD, question="Which bounding box is it?")),
    ("forbidden_word", lambda: replace(GOOD, question="What is h3?")),
    ("reading_given_away", lambda: with_hop(4, category='word "Figs"')),
    ("ambiguous_reference", lambda: with_hop(2, rel=Relation.NAMED, to=None)),
    ("wrong_target", lambda: with_hop(2, target=("t600-320",))),
    ("wrong_target", lambda: with_hop(5, target=ABOVE_FIGS[:2])),
    ("wrong_reading", lambda: with_hop(3, value=Fraction(28))),
    ("wrong_reading", lambda: with_hop(5, value=Fraction(4))),
    ("constant_condition", lambda: replace(GOOD, expr="h2+h3*letters(h4)-if(1==1,h5,2)")),
    ("same_branches", lambda: replace(GOOD, expr="h2+h3*letters(h4)-if(h5>9,3,3)")),
    ("same_branches", lambda: replace(GOOD, expr="h2+h3*letters(h4)-if(h5>9,3,h5)")),
    ("shut_gate", lambda: replace(GOOD, expr="if(h5>9,h2+h3*letters(h4),7)", answer=Fraction(7))),
    ("insensitive", lambda: replace(GOOD, expr="h2+(h3-20)*(39-h3)+letters(h4)-h5", answer=Fraction(108))),
    ("few_answers", lambda: replace(GOOD, expr="if(h2+h3*letters(h4)-h5>129,2,3)", answer=Fraction(2))),
    ("names_an_id", lambda: replace(GOOD, question="What does t600-210 say?")),
    ("names_an_id", lambda: replace(GOOD, question="What does 9f86d081884c7d65 say?")),
    ("not_the_viewers_side", lambda: replace(GOOD, question="Who stands on her left?")),
    ("not_the_viewers_side", lambda: replace(GOOD, question="Go to the man on the driver's right.")),
    ("reading_in_question", lambda: replace(GOOD, question='Find the word "Figs".')),
    ("reading_in_question", lambda: replace(GOOD, question="How many letters has the word Figs? The number is 29.")),
    ("reading_in_question", lambda: replace(GOOD, question="Look at the three numbers above it.")),
    ("unseen_text", lambda: replace(GOOD, question='Find the word "Pears".')),
    ("link_not_needed", lambda: with_hop(4, category='word "Figs"', rel=Relation.LEFT_OF, read=None, value=None)),
    ("wrong_turn_unnoticed", lambda: replace(GOOD, expr="if(h2>1,h3,h2)*letters(h4)-h5", answer=Fraction(113))),
]  # fmt: skip


def test_a_good_query_passes_everything() -> None:
    assert check(GOOD, SCENE) == ([], 0.0)


@pytest.mark.parametrize(("reason", "broken"), BROKEN, ids=[f"{n}-{reason}" for n, (reason, _) in enumerate(BROKEN)])
def test_each_rule_refuses_what_it_is_there_for(reason: str, broken: Callable[[], Query]) -> None:
    assert reason in reasons(broken())


def test_every_rule_has_a_case() -> None:
    elsewhere = {"unclear_colour", "settled_by_another"}
    assert {rule.__name__ for rule in RULES} == {reason for reason, _ in BROKEN} | elsewhere


# A row of two cars, a bus and two dogs, and more of each below them.
YARD = Scene(
    (
        thing("c1", "car", 100, 100, 80, 60, colour="red", colours="red"),
        thing("bus1", "bus", 300, 80, 150, 90, colour="blue", colours="blue"),
        thing("d1", "dog", 600, 100, 50, 50, colour="white", colours="white"),
        thing("d2", "dog", 620, 500, 50, 50, colour="brown", colours="brown"),
        thing("c2", "car", 100, 500, 120, 90, colour="white", colours="white"),
        thing("bus2", "bus", 330, 650, 190, 100, colour="green", colours="green"),
    ),
    WIDTH,
    HEIGHT,
)


def test_a_hop_that_can_be_left_out_is_a_shortcut() -> None:
    start, dog = (
        Hop(("c1",), "red car", Relation.NAMED),
        Hop(("d1",), "dog", Relation.RIGHT_OF, "h2", Read.COLOUR, value="white"),
    )
    by_bus = Query("?", (start, Hop(("bus1",), "bus", Relation.RIGHT_OF, "h1"), dog), "h3", Fraction(0))
    by_row_below = Query(
        "?", (replace(start, target=("c2",), category="white car"), by_bus.hops[1], dog), "h3", Fraction(0)
    )
    assert "shortcut" in reasons(by_bus, YARD)  # the dog to the right of the car is the same dog
    assert "shortcut" not in reasons(by_row_below, YARD)


def test_what_a_phrase_says_of_the_whole_picture_settles_other_readings() -> None:
    colour = Hop(("c2",), "car", Relation.OTHER, "h1", Read.COLOUR, value="white")
    cars = Hop(("c1", "c2"), "car", Relation.NAMED, None, Read.COUNT, value=Fraction(2))
    buses = Hop(("bus1", "bus2"), "bus", Relation.NAMED, None, Read.COUNT, value=Fraction(2))
    start = Hop(("c1",), "red car", Relation.NAMED)
    for expr, last, settled in (
        ('if(h2=="red",3,4)*h3', buses, True),  # the only red car was the first one
        ('if(h2=="blue",3,4)*h3', buses, False),
        ('if(h2=="blue",3,4)*h3', cars, True),  # the one and the other make two
    ):
        found = reasons(Query("?", (start, colour, last), expr, Fraction(0)), YARD)
        assert ("settled_by_another" in found) is settled


def test_a_colour_that_somebody_could_see_is_no_condition() -> None:
    car = thing("car", "car", 400, 100, 90, 60, colour="red", colours="red,orange")
    scene = Scene((*SCENE.instances, car), WIDTH, HEIGHT)
    hop = Hop(("car",), "car", Relation.NEAREST, "h4", Read.COLOUR, value="red")
    for colour, clear in (("red", True), ("blue", True), ("orange", False)):
        expr = f'h2+h3*letters(h4)-if(h5=="{colour}",2,3)'
        query = replace(GOOD, hops=(*GOOD.hops[:4], hop), expr=expr, combination=(*GOOD.combination, "car"))
        assert ("unclear_colour" not in reasons(query, scene)) is clear


def test_what_no_code_can_see_is_counted_as_unchecked() -> None:
    behind = with_hop(2, rel=Relation.BEHIND)
    assert check(behind, SCENE)[1] == pytest.approx(0.2)
    puppet = with_hop(4, category="puppet", read=Read.PARTS, arg="eyes", value=Fraction(2))
    assert check(puppet, SCENE)[1] == pytest.approx(0.2)


def test_a_doubtful_distractor_makes_a_good_query_ambiguous() -> None:
    ghost = text("18", 400, 210, certain=False)
    assert "ambiguous_reference" in reasons(GOOD, Scene((*SCENE.instances, ghost), WIDTH, HEIGHT))


def test_quoted_text_on_the_image_may_say_anything() -> None:
    scene = Scene((*SCENE.instances, text("Mask box", 80, 650)), WIDTH, HEIGHT)
    assert reasons(replace(GOOD, question='Find the text "Mask box". What is A?'), scene) == set()


def test_hops_survive_the_lake() -> None:
    for number, hop in GOOD.numbered():
        assert hop_from_row(hop_to_row(hop), number) == hop


def test_a_query_is_known_by_image_and_wording_alone() -> None:
    assert query_id("a", "What  is A?") == query_id("a", "what is a? ")
    assert query_id("a", "What is A?") != query_id("b", "What is A?")
