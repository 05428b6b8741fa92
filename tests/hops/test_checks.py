"""Each rule refuses what it is there for, and a good query passes them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.checks import (
    DRAFT_RULES,
    DRAFT_VARIANT_RULES,
    PROOF_RULES,
    RULES,
    VARIANT_RULES,
    check,
    check_again,
    check_draft,
    count_conditions,
    coverage,
    is_sound,
    variant_rules,
)
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_from_row, hop_to_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import Verdict
from support.hop_scenes import HEIGHT, WIDTH, price_list, text, thing

SCENE = price_list()
PLUMS, SEVENTEEN, TWENTY_NINE, FIGS = "t80-210", "t600-210", "t600-430", "t80-430"
DOG, CAT = thing("dog", "dog", 600, 400, 50, 50), thing("cat", "cat", 400, 100, 50, 50, colour="white")
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
    ("reading_in_question", lambda: replace(GOOD, question="Below the number 290 stands the number 29.")),
    ("reading_in_question", lambda: replace(GOOD, question="Look at the three numbers above it.")),
    ("unseen_text", lambda: replace(GOOD, question='Find the word "Pears".')),
    ("link_not_needed", lambda: with_hop(4, category='word "Figs"', rel=Relation.LEFT_OF, read=None, value=None)),
    ("wrong_turn_unnoticed", lambda: replace(GOOD, expr="if(h2>1,h3,h2)*letters(h4)-h5", answer=Fraction(113))),
]  # fmt: skip


def test_a_good_query_passes_everything() -> None:
    assert check(GOOD, SCENE) == ([], 0.0)
    assert coverage(GOOD, SCENE) == 1


@pytest.mark.parametrize(("reason", "broken"), BROKEN, ids=[f"{n}-{reason}" for n, (reason, _) in enumerate(BROKEN)])
def test_each_rule_refuses_what_it_is_there_for(reason: str, broken: Callable[[], Query]) -> None:
    assert reason in reasons(broken())
    assert not is_sound(broken(), SCENE)


def test_the_letters_of_a_word_give_more_than_two_answers() -> None:
    lengths = replace(GOOD, expr="letters(h4)+if(h2+h3-h5>40,20,30)", answer=Fraction(24))
    assert "few_answers" not in reasons(lengths)


def test_every_rule_has_a_case() -> None:
    elsewhere = {"unclear_colour", "settled_by_another", "shortcut"}
    assert {rule.__name__ for rule in PROOF_RULES} == {reason for reason, _ in BROKEN} | elsewhere
    drafts = {reason for reason, _, _ in WRONG_DRAFTS}
    assert {rule.__name__ for rule in DRAFT_RULES} - {rule.__name__ for rule in RULES} == drafts


# What code can disprove of a draft, and the rule by which a program is refused that code cannot prove.
WRONG_DRAFTS: list[tuple[str, Callable[[], Query], str]] = [
    ("contradicted_reference", lambda: with_hop(4, rel=Relation.OTHER, to="h1"), "ambiguous_reference"),  # of four
    ("contradicted_reference", lambda: with_hop(3, to="h1"), "ambiguous_reference"),  # reads no number
    ("contradicted_target", lambda: with_hop(2, target=("t600-320",)), "wrong_target"),
    ("contradicted_target", lambda: with_hop(5, target=(FIGS,)), "wrong_target"),
    ("contradicted_reading", lambda: with_hop(3, value=Fraction(28)), "wrong_reading"),
    ("contradicted_reading", lambda: with_hop(5, value=Fraction(4)), "wrong_reading"),
]


@pytest.mark.parametrize(("reason", "broken", "strict"), WRONG_DRAFTS)
def test_what_code_disproves_of_a_draft(reason: str, broken: Callable[[], Query], strict: str) -> None:
    found = check_draft(broken(), SCENE)
    assert reason in {one.reason for one in found.violations}
    assert Verdict.CONTRADICTED in {one.verdict for one in found.verdicts}
    assert strict in reasons(broken())


@pytest.mark.parametrize(
    ("changes", "strict"),
    [
        ({"words": "in the same row"}, set()),  # unchecked
        ({"rel": Relation.NEAREST}, {"ambiguous_reference"}),  # by edges it is nearest, by middles it is not
    ],
)
def test_what_code_cannot_disprove_of_a_draft_is_open(changes: dict[str, Any], strict: set[str]) -> None:
    draft = with_hop(2, **changes)
    found = check_draft(draft, SCENE)
    assert found.violations == []
    assert [one.verdict for one in found.verdicts] == [Verdict.CONFIRMED, Verdict.OPEN, *[Verdict.CONFIRMED] * 3]
    assert reasons(draft) == strict


@pytest.mark.parametrize(("push", "seen"), [(0, Verdict.CONFIRMED), (20, Verdict.CONFIRMED), (40, Verdict.OPEN)])
def test_what_hangs_unevenly_is_left_to_other_eyes_in_new_drafts_only(push: int, seen: Verdict) -> None:
    dog, cat = thing("dog", "dog", 300, 100, 100, 100), thing("cat", "cat", 300 + push, 300, 100, 100)
    yard = Scene((dog, cat), WIDTH, HEIGHT)
    first = Hop(("dog",), "dog", Relation.NAMED)
    draft = Query("?", (first, Hop(("cat",), "cat", Relation.BELOW, "h1")), "1", Fraction(1))
    assert [one.verdict for one in check_draft(draft, yard).verdicts] == [Verdict.CONFIRMED, seen]
    stored = [{"by": "code", "looks": 0}, {"by": "code", "looks": 0}]
    looked_at = [*stored, {"by": "eyes", "looks": 2}]
    longer = replace(draft, hops=(*draft.hops, replace(first, words="with a hat")))
    assert "wrong_confirmation" not in {one.reason for one in check_again(longer, yard, looked_at)[0]}


def test_what_stands_in_between_is_left_to_other_eyes() -> None:
    found = [thing(name, name, 300, 100 + 200 * row, 100, 100) for row, name in enumerate(("dog", "box", "cat"))]
    hops = (Hop(("dog",), "dog", Relation.NAMED), Hop(("cat",), "cat", Relation.BELOW, "h1"))
    checked = check_draft(Query("?", hops, "1", Fraction(1)), Scene(tuple(found), WIDTH, HEIGHT))
    assert [one.verdict for one in checked.verdicts] == [Verdict.CONFIRMED, Verdict.OPEN]


def test_a_good_draft_is_confirmed_throughout() -> None:
    found = check_draft(GOOD, SCENE)
    assert (found.violations, found.has_shortcut) == ([], False)
    assert {one.verdict for one in found.verdicts} == {Verdict.CONFIRMED}


@pytest.mark.parametrize(
    ("question", "forbidden"),
    [
        ("What is in the bounding box?", True),
        ("Look at the box around the man.", True),
        ("Look at box 3.", True),
        ("Use its mask.", True),
        ("Take the cropped photo.", True),
        ("Count the annotated cars.", True),
        ("The detector found it.", True),
        ("What does h3 say?", True),
        ("What does i2 say?", True),
        ("What is its id?", True),
        ("It is an instance of a car.", True),
        ("Which salad is in the box?", False),
        ("Is there, for instance, a fork?", False),
        ("Whose ID card is it?", False),
        ("What is below the smoke detector?", False),
    ],
)
def test_words_of_the_authors_aids(question: str, forbidden: bool) -> None:
    assert ("forbidden_word" in reasons(replace(GOOD, question=question))) is forbidden


def test_things_may_be_called_what_they_are() -> None:
    question = "How many segments has the orange beside the boxes? Who wears the mask?"
    assert "forbidden_word" in reasons(replace(GOOD, question=question))
    orange = with_hop(4, category="orange", read=Read.PARTS, arg="segments", value=Fraction(8), words="beside the box")
    mask = Scene((*SCENE.instances, thing("m", "face mask", 400, 100, 50, 50)), WIDTH, HEIGHT)
    assert "forbidden_word" not in reasons(replace(orange, question=question), mask)
    excused = with_hop(4, words="in the bounding box of h3")  # a model's own words excuse no others
    assert "forbidden_word" in reasons(replace(excused, question="What is in its bounding box?"))
    assert "forbidden_word" in reasons(replace(excused, question="What is beside h3?"))


def test_the_same_look_up_from_the_instance_before_is_a_shortcut() -> None:
    """Two signs say 12; a third is looked up by either of them."""
    signs = [thing(f"s{n}", "sign", 100, 100 + 150 * n, 200, 80, text="12") for n in range(2)]
    yard = Scene((*signs, thing("tag", "tag", 600, 100, 40, 40, text="12"), DOG, CAT), WIDTH, HEIGHT)
    start = Hop(("s0",), "sign", Relation.ABOVE, None, Read.NUMBER, value=Fraction(12))
    below = Hop(("s1",), "sign", Relation.BELOW, "h1", Read.NUMBER, value=Fraction(12))
    tag = Hop(("tag",), "tag", Relation.MATCHING, "h2")
    assert check_draft(Query("?", (start, below, tag), "h1+h2", Fraction(24)), yard).has_shortcut
    colour = replace(below, target=("cat",), category="cat", rel=Relation.NEAREST, read=Read.COLOUR, value="white")
    found = check_draft(Query("?", (start, colour, replace(tag, target=("dog",), category="dog")), "h1", 0), yard)
    assert not found.has_shortcut  # a sign of no clear colour leads nowhere


TO = st.sampled_from([None, "h1", "h2", "h3", "h9", "letters(h1)", "letters(h2)", "h1+h2", "17", "the first", "h0"])
HOP = st.builds(
    Hop,
    st.sampled_from([(), (PLUMS,), (SEVENTEEN,), (FIGS, PLUMS), ("gone",)]),
    st.sampled_from(["word", "number", 'word "Figs"', "text", "car", "red word", ""]),
    st.sampled_from(Relation),
    TO,
    st.one_of(st.none(), st.sampled_from(Read)),
    st.one_of(st.none(), st.just("legs")),
    st.sampled_from([None, Fraction(17), Fraction(1, 3), "Figs", "red", "", True, False]),
    st.one_of(st.none(), st.just("in the box")),
)


@given(st.lists(HOP, max_size=7), st.sampled_from(["h1", "h1+h2", "letters(h2)", 'if(h1=="red",h2,3)', "", "h9", "(("]))
def test_no_draft_makes_the_checks_fail(hops: list[Hop], expr: str) -> None:
    """Models write anything; a query is refused with reasons, and a raised error would end the stage."""
    query = Query("?", tuple(hops), expr, Fraction(3), (PLUMS,))
    assert check(query, SCENE, PROOF_RULES)[0]
    assert check_draft(query, SCENE).violations


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


def doubting(*unsure: str) -> Scene:
    """SCENE, where some instances may be nothing."""
    some = tuple(replace(one, certain=one.id not in unsure) for one in SCENE.instances)
    return Scene(some, WIDTH, HEIGHT)


@pytest.mark.parametrize(("unsure", "share"), [((), 0.0), ((FIGS,), 0.2), (("t600-100",), 0.2), ((SEVENTEEN,), 0.4)])
def test_the_open_share_is_that_of_the_hops_that_code_does_not_confirm(unsure: tuple[str, ...], share: float) -> None:
    found = check_draft(GOOD, doubting(*unsure))
    assert (found.violations, found.open_share) == ([], share)
    assert is_sound(GOOD, doubting(*unsure)) is (not unsure)


def test_the_open_share_of_one_hop_and_of_none() -> None:
    described = replace(GOOD.hops[0], words="in the second row")
    assert [check_draft(replace(GOOD, hops=hops), SCENE).open_share for hops in ((), (described,))] == [0, 1]


@pytest.mark.parametrize(
    ("by", "unsure", "reasons", "share"),
    [
        ("", (), [], 0.0),
        ("ccccc", (), [], 0.0),
        ("ccccc", ("t600-100",), ["ambiguous_reference"], 0.0),  # by code alone: it must be proven
        ("", ("t600-100",), ["ambiguous_reference"], 0.0),  # not known by whom
        ("cccce", ("t600-100",), [], 0.2),
        ("ccecn", ("t600-100",), [], 0.4),
        ("cceen", (), [], 0.6),  # code could confirm more
        ("eeeee", ("t600-100",), [], 1.0),
        ("ccecc", ("t600-100",), ["wrong_confirmation"], 0.2),  # not the fifth
        ("ccce", (), ["wrong_confirmation"], 0.25),  # of five hops
        ("e", (), ["wrong_confirmation"], 1.0),
    ],
)
def test_a_stored_query_is_held_to_what_is_said_of_its_hops(
    by: str, unsure: tuple[str, ...], reasons: list[str], share: float
) -> None:
    names = {"c": "code", "e": "eyes", "n": "nobody"}
    confirmed = [{"by": names[one], "looks": 0} for one in by]
    for stated in [confirmed, None] if not by else [confirmed]:
        found, unchecked = check_again(GOOD, doubting(*unsure), stated)
        assert ([one.reason for one in found], unchecked) == (reasons, share)
    assert variant_rules(confirmed) == (VARIANT_RULES if set(by) <= {"c"} else DRAFT_VARIANT_RULES)


def test_conditions_are_counted_by_how_they_turn_out() -> None:
    exprs = ["if(h5>9,", "h2+if(h5>9,3,1)", "h2+if(h5>1,3,1)*if(h2>1,1,2)", "h2+if(h5>1,1,2)", "h2+h3"]
    assert count_conditions(replace(GOOD, expr=expr) for expr in exprs) == (3, 1)
    assert count_conditions([]) == (0, 0)
