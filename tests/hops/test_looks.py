"""What other eyes are asked: never the author's target or value; and when they agree."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.looks import LEAST_CANDIDATES, MOST_CANDIDATES, Look, disagreement, look_at, looks
from hopchain_etl.hops.query import Hop, Query, Read, Relation
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import Finding, HopVerdict, Verdict
from support.hop_scenes import scene, thing

ROOM = scene(
    thing("sofa", "sofa", 100, 300, 200, 100, colour="blue"),
    thing("near", "chair", 330, 320, 60, 70, colours="red,pink"),
    thing("far", "chair", 700, 320, 60, 70, colours="red,pink"),
    thing("cup", "cup", 345, 280, 20, 30),
    thing("lamp", "lamp", 800, 60, 40, 90),
)
QUERY = Query(
    "?",
    (
        Hop(("sofa",), "sofa", Relation.NAMED),
        Hop(("near",), "chair", Relation.BEHIND, "h1", Read.COLOUR, value="red"),
        Hop(("cup",), "cup", Relation.NAMED, None, Read.PARTS, "handles", Fraction(2), "on the chair"),
        Hop((), "mug", Relation.ON, "h2", Read.COUNT, value=Fraction(3)),
        Hop(("near",), "chair", Relation.NAMED, "h2", Read.PRESENT, "a cushion", value=True),
    ),
    'if(h2=="blue",h3,h4)+if(h5,1,2)',
    Fraction(4),
    ("sofa", "near", "cup"),
)


def asked(query: Query = QUERY, where: Scene = ROOM) -> dict[int, Look]:
    return looks(query, build_context(query, where).verdicts, where)


def test_a_hop_that_starts_from_what_is_not_there_is_not_looked_at() -> None:
    without = Scene(tuple(one for one in ROOM.instances if one.id != "sofa"), ROOM.width, ROOM.height)
    found = asked(where=without)
    assert sorted(found) == [3, 4, 5]
    assert {one for look in found.values() for _, one in look.marks} <= set(without.by_id)


def test_only_open_hops_are_looked_at_each_in_its_own_words() -> None:
    found = asked()
    assert sorted(found) == [2, 3, 4, 5]
    assert found[2].question == (
        "Which of the marked things is the chair behind the sofa marked A? And of that thing: is it mainly blue?"
    )
    assert dict(found[2].marks)["A"] == "sofa"
    assert {one for _, one in found[2].marks} >= {"near", "far"}
    assert "the cup (on the chair)" in found[3].question
    mugs = "How many of these are there: mugs on the chair marked A?"
    assert found[4] == Look(mugs, (("A", "near"),), (), Read.COUNT)
    assert found[5].marks == (("A", "near"),)
    assert "a cushion" in found[5].question


def test_the_target_stands_among_others_and_its_mark_does_not_tell_it() -> None:
    crowd = scene(*ROOM.instances, *(thing(f"c{n}", "chair", 40 * n, 600, 30, 30) for n in range(20)))
    choices = [dict(asked(where=crowd)[2].marks)[label] for label in asked(where=crowd)[2].choices]
    assert len(choices) == MOST_CANDIDATES
    assert "near" in choices
    assert choices == sorted(choices, key=lambda one: crowd.get(one).centre)
    lone = [one for label, one in asked()[3].marks if label in asked()[3].choices]
    assert len(lone) == LEAST_CANDIDATES  # the only cup, and two other things


@given(st.text(max_size=30).filter(lambda text: text not in COLOURS), st.integers(0, 10**6), st.booleans())
def test_no_look_tells_what_the_author_read(colour: str, count: int, there: bool) -> None:
    changes = {2: {"value": colour}, 4: {"value": Fraction(count)}, 5: {"value": there}}
    for number, change in changes.items():
        hops = list(QUERY.hops)
        hops[number - 1] = replace(hops[number - 1], **change)
        query = replace(QUERY, hops=tuple(hops))
        assert asked(query)[number] == asked()[number]


def answer(which: str | None = None, reading: str | None = None, *, cannot_tell: bool = False) -> dict[str, Any]:
    return {"cannot_tell": cannot_tell, "which": which, "reading": reading}


def label(number: int, one: str) -> str:
    return next(name for name, marked in asked()[number].marks if marked == one)


@pytest.mark.parametrize(
    ("number", "given", "said"),
    [
        (2, lambda: answer(label(2, "near"), "no"), None),
        (2, lambda: answer(label(2, "near"), "yes"), "asked for 'blue', they say 'yes'"),
        (2, lambda: answer(label(2, "near"), "red"), "asked for 'blue'"),
        (2, lambda: answer(label(2, "far"), "no"), "they mean far"),
        (2, lambda: answer(None, None), "none of the marked"),
        (2, lambda: answer(cannot_tell=True), "cannot tell"),
        (3, lambda: answer(label(3, "cup"), "2"), None),
        (3, lambda: answer(label(3, "cup"), "two"), None),
        (3, lambda: answer(label(3, "cup"), "1"), "they read '1', not 2"),
        (3, lambda: answer(label(3, "cup"), None), "they read"),
        (4, lambda: answer(reading="3"), None),
        (4, lambda: answer(reading="2"), "they read"),
        (5, lambda: answer(reading="Yes."), None),
        (5, lambda: answer(reading="no"), "they read"),
        (5, lambda: answer(reading="perhaps"), "they read"),
    ],
)  # fmt: skip
def test_eyes_agree_or_say_what_they_see(number: int, given: Any, said: str | None) -> None:
    found = disagreement(asked()[number], given(), QUERY, number, ROOM)
    assert (found is None) if said is None else said in (found or "")


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()), st.booleans())
def test_no_answer_of_a_model_raises(which: str | None, reading: str | None, cannot_tell: bool) -> None:
    for number, look in asked().items():
        found = disagreement(look, answer(which, reading, cannot_tell=cannot_tell), QUERY, number, ROOM)
        assert found is None or found


def test_a_word_that_is_used_in_several_ways_is_asked_for_itself() -> None:
    query = replace(QUERY, expr='if(h2=="blue",h3,h4)+if(h2=="red",1,2)', answer=Fraction(4))
    look = asked(query)[2]
    assert look.compared is None
    assert look.question.endswith("what is its main colour?")
    near = label(2, "near")
    assert disagreement(look, answer(near, "red"), query, 2, ROOM) is None
    assert "they read 'pink'" in (disagreement(look, answer(near, "pink"), query, 2, ROOM) or "")
    either = replace(QUERY, expr='if(h2=="blue",h3,h4)+if(h2=="green",2,1)', answer=Fraction(4))
    assert disagreement(asked(either)[2], answer(near, "pink"), either, 2, ROOM) is None  # the answer stays the same


@pytest.mark.parametrize(("to", "compared"), [("h2", None), ("h3", "blue")])
def test_a_word_by_which_a_later_hop_goes_is_asked_for_itself(to: str, compared: str | None) -> None:
    by_value = Hop(("far",), "chair", Relation.MATCHING, to, Read.PRESENT, "a cushion", value=True)
    assert asked(replace(QUERY, hops=(*QUERY.hops[:4], by_value)))[2].compared == compared


@pytest.mark.parametrize(
    ("change", "said", "agrees"),
    [
        ({}, "pink", True),  # neither is blue
        ({"expr": 'letters(h2)+if(h2=="blue",h3,h4)', "answer": Fraction(6)}, "tan", True),  # as many letters
        ({"expr": 'letters(h2)+if(h2=="blue",h3,h4)', "answer": Fraction(6)}, "pink", False),
        ({"expr": 'if(h2=="blue",h3,h4)+if(letters(h2)-4,1,2)'}, "pink", False),  # pink has 4 letters, and 0 is no yes
        ({"expr": 'if(h2=="blue",h3,'}, "pink", False),  # nothing can be worked out
        ({}, "", False),
    ],
)
def test_another_word_is_as_good_only_if_the_answer_stays(change: Any, said: str, agrees: bool) -> None:
    query = replace(QUERY, **change)
    look = Look("What is its main colour?", (("1", "near"),), ("1",), Read.COLOUR)
    assert (disagreement(look, answer("1", said), query, 2, ROOM) is None) is agrees


def test_another_word_by_which_a_later_hop_goes_is_not_as_good() -> None:
    look = Look("What is its main colour?", (("1", "near"),), ("1",), Read.COLOUR)
    sought = Hop(("far",), "chair", Relation.MATCHING, "h2", Read.PRESENT, "a cushion", value=True)
    query = replace(QUERY, hops=(*QUERY.hops[:4], sought))
    assert disagreement(look, answer("1", "pink"), query, 2, ROOM) is not None


def test_a_hedged_number_or_a_scaled_one_is_not_the_authors() -> None:
    look = asked()[4]
    for said in ("3 or more", "3 maybe", "3 pairs", "3 dozen", "about 3?"):
        assert disagreement(look, answer(reading=said), QUERY, 4, ROOM) is not None, said
    for said in ("3", "three", "3k", "3 %"):
        assert disagreement(look, answer(reading=said), QUERY, 4, ROOM) is None, said


def test_in_a_crowd_the_rivals_of_the_target_are_marked() -> None:
    chairs = [thing(f"c{n}", "chair", 30 + 45 * n, 500, 30, 30) for n in range(20)]
    anchor = thing("cup", "cup", 30 + 45 * 3.5, 450, 30, 30)  # above, between c3 and c4
    crowd = scene(*chairs, anchor)
    for seed in range(10):
        hops = (Hop(("cup",), "cup", Relation.NAMED), Hop(("c3",), "chair", Relation.NEAREST, "h1"))
        look = asked(Query(f"{seed}?", hops, "h1", Fraction(1)), crowd)[2]
        assert {"c3", "c4"} <= {one for _, one in look.marks}


def test_a_twin_of_the_target_is_no_other_choice() -> None:
    pair = scene(*ROOM.instances, thing("twin", "armchair", 330, 320, 60, 70))
    assert "twin" not in {one for look in asked(where=pair).values() for _, one in look.marks}


def test_the_same_things_are_marked_on_any_machine() -> None:
    """Of many of its name the rivals first, then any; of too few, others as well."""
    chairs = [thing(f"c{n}", "chair", 40 * n, 600, 30, 30) for n in range(20)]
    cups = [thing(f"d{n}", "cup", 60 * n + 20, 700, 30, 30, certain=n % 2 == 0) for n in range(9)]
    found = asked(where=scene(*ROOM.instances, *chairs, *cups))
    marked = [" ".join(one for _, one in found[number].marks) for number in (2, 3)]
    assert marked == ["sofa c6 c7 c8 near c9 c10 c11 c17 c18", "d0 d1 d2 d3 d4 d5 cup d6 d8"]
    unsure = [thing(f"u{n}", "plant", 100 * n, 500, 40, 40, certain=False) for n in range(5)]
    few = asked(where=scene(*ROOM.instances, *unsure))
    assert [" ".join(one for _, one in few[number].marks) for number in (2, 3)] == [
        "sofa near far lamp",
        "sofa cup lamp",
    ]


@pytest.mark.parametrize(
    ("expr", "compared"),
    [
        ('if(h2=="Blue ",h3,h4)', "blue"),
        ('if(h2!="blue",h3,h4)+if("blue"==h2,1,2)', "blue"),
        ('if(h2=="blue",h3,h4)+if(h2==h1,1,2)', None),  # needs the word itself
        ('if(h2=="blue",h3,h4)+if(letters(h2)==4,1,2)', None),
        ('if(h2=="blue",h3,h4)+letters(h2)', None),
        ('if(h1=="blue",h3,h4)', None),  # needs nothing of it
        ("h3+h4", None),
        ('if(h2=="blue",h3', None),
    ],
)
def test_only_a_word_that_is_compared_with_one_other_is_asked_for_by_yes_or_no(expr: str, compared: str | None) -> None:
    assert asked(replace(QUERY, expr=expr))[2].compared == compared


def test_a_look_starts_from_what_the_hop_names_wherever_it_stands() -> None:
    doubt = HopVerdict(Finding(Verdict.OPEN), Finding(Verdict.OPEN))
    for to, name, marked in (("h2", "the sofa marked A", "sofa"), ("h3", "the thing marked A", None)):
        first = Hop(("cup",), "cup", Relation.LEFT_OF, to)
        query = Query("?", (first, Hop(("sofa",), "sofa", Relation.NAMED)), "1", Fraction(1))
        look = look_at(query, 1, doubt, ROOM)
        assert name in look.question
        assert dict(look.marks).get("A") == marked


@pytest.mark.parametrize(
    ("rel", "to", "said"),
    [
        (Relation.NEAREST_VALUE, "h2", "7"),
        (Relation.NEAREST_VALUE, "h2+h2", "14"),
        (Relation.MATCHING, "h3", '"SALE"'),
        (Relation.NEAREST_VALUE, "letters(h3)", "4"),
        (Relation.NEAREST_VALUE, "h1", "the thing marked A"),  # which reads no number
    ],
)
def test_a_hop_that_goes_by_a_value_is_asked_for_with_it_and_from_nowhere(rel: Relation, to: str, said: str) -> None:
    before = (
        Hop(("sofa",), "sofa", Relation.NAMED),
        Hop(("cup",), "cup", Relation.NAMED, None, Read.NUMBER, value=Fraction(7)),
        Hop(("lamp",), "lamp", Relation.NAMED, None, Read.TEXT, value="SALE"),
    )
    query = Query("?", (*before, Hop(("near",), "chair", rel, to)), "1", Fraction(1))
    look = look_at(query, 4, HopVerdict(Finding(Verdict.OPEN), Finding(Verdict.CONFIRMED)), ROOM)
    assert said in look.question
    assert "A" not in dict(look.marks)
    assert look.reads is None


@pytest.mark.parametrize(
    ("hop", "target", "reading", "asked_which", "asked_what"),
    [
        (Hop(("near",), "chair", Relation.NEAREST, "h1", Read.PARTS, "legs"), "confirmed", "open", False, True),
        (Hop(("sofa",), "sofa", Relation.NAMED, "h1", Read.PARTS, "legs"), "open", "open", False, True),
        (Hop(("sofa",), "sofa", Relation.NAMED, None, Read.PARTS, "legs"), "open", "open", True, True),
        (Hop(("near",), "chair", Relation.NEAREST, "h1", Read.PARTS, "legs"), "open", "open", True, True),
        (Hop(("near",), "chair", Relation.NEAREST, "h1", Read.COLOUR), "open", "confirmed", True, False),
        (Hop(("near",), "chair", Relation.NEAREST, "h1"), "open", "confirmed", True, False),
    ],
)
def test_eyes_are_asked_which_thing_it_is_and_what_is_read_there_as_far_as_it_is_open(
    hop: Hop, target: str, reading: str, asked_which: bool, asked_what: bool
) -> None:
    query = Query("?", (Hop(("sofa",), "sofa", Relation.NAMED), hop), "1", Fraction(1))
    look = look_at(query, 2, HopVerdict(Finding(Verdict(target)), Finding(Verdict(reading))), ROOM)
    assert look.choices == (tuple("123"[: len(look.choices)]) if asked_which else ())
    assert bool(look.choices) is asked_which
    assert look.reads is (hop.read if asked_what else None)
    assert hop.target[0] in dict(look.marks).values()
    assert look.question.startswith("Which of the marked things") is asked_which
    if not asked_which:
        assert look.marks == (("A", hop.target[0]),)
