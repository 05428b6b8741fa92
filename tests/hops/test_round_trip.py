"""A second program: what eyes must tell it, what code tells it, and when it does not run."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_to_row
from hopchain_etl.hops.round_trip import RoundTripError, run_program, unexecutable_facts
from support.hop_scenes import scene, thing

PLACE = scene(
    thing("bench", "bench", 400, 600, 120, 60, colour="green"),
    thing("near", "dog", 560, 600, 60, 50),
    thing("far", "dog", 900, 100, 60, 50),
    thing("kite", "kite", 570, 100, 60, 50),
)
HOPS = (
    Hop(("bench",), "bench", Relation.NAMED, read=Read.COLOUR, value="green"),
    Hop(("near",), "dog", Relation.NEAREST, "h1", Read.PARTS, "legs", Fraction(3)),
    Hop(("kite",), "kite", Relation.BEHIND, "h2", Read.SHAPE, value="diamond"),
    Hop((), "dog", Relation.NAMED, None, Read.COUNT, value=Fraction(2)),
)
QUERY = Query("?", HOPS, "h2+h4", Fraction(5), ("bench", "near", "kite"))


def program(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [hop_to_row(hop) for hop in HOPS]
    for place, change in enumerate(changes):
        rows[place] |= change
    return rows


def test_only_what_takes_eyes_is_told() -> None:
    assert unexecutable_facts(QUERY, PLACE) == (
        {"of": ["near"], "read": "parts", "arg": "legs", "category": "dog", "value": "3"},
        {"of": ["kite"], "read": "shape", "arg": None, "category": "kite", "value": '"diamond"'},
    )


def test_a_count_that_takes_eyes_is_told_with_its_place_and_without_what_it_counts() -> None:
    spots = Hop((), "spot", Relation.ON, "h2", Read.COUNT, value=Fraction(4))
    query = replace(QUERY, hops=(*HOPS[:2], spots), expr="h2+h3", answer=Fraction(7))
    assert unexecutable_facts(query, PLACE)[0] == {
        "of": [], "read": "count", "arg": None, "category": "spot", "value": "4", "rel": "on", "to": ["near"],
    }  # fmt: skip


@pytest.mark.parametrize(("to", "of"), [("h1", []), ("h2", ["near"]), ("h3", [])])
def test_a_draft_that_is_not_checked_yet_may_count_from_a_later_hop_or_from_none(to: str, of: list[str]) -> None:
    spots = Hop((), "spot", Relation.ON, to, Read.COUNT, value=Fraction(4))
    assert unexecutable_facts(replace(QUERY, hops=(spots, replace(HOPS[1], to=None))), PLACE)[0]["to"] == of


def test_code_finds_and_counts_for_the_reader() -> None:
    assert run_program(program(), "h2+h4", PLACE, QUERY) == 5
    # It takes the wrong dog and miscounts: code knows better. What takes eyes stays as it was read.
    wrong = program({}, {"target": ["far"], "value": "4"}, {}, {"value": "7"})
    assert run_program(wrong, "h2+h4", PLACE, QUERY) == 6
    assert run_program(program({}, {"rel": "right_of", "to": None}), "h4", PLACE, QUERY) == 2


@pytest.mark.parametrize(
    ("hops", "expr", "said"),
    [
        (program(), "h2+h9", "h9 reads nothing"),
        (program(), "h2+", "unexpected"),
        (program({"rel": "beside"}), "h2", "h1.*beside"),
        (program({}, {}, {"rel": "beside"}), "h2", "h3.*beside"),
        (program({"to": "h3"}), "h2", "h1 refers to h3"),
        (program({}, {"value": None}), "h2", "reads nothing"),
        (program({}, {"value": "1e9"}), "h2", "exponent"),
        (program() * 4, "h2", "16 hops"),
        ([], "h1", "reads nothing"),
    ],
)
def test_a_program_that_does_not_run_says_why(hops: list[dict[str, Any]], expr: str, said: str) -> None:
    with pytest.raises(RoundTripError, match=said):
        run_program(hops, expr, PLACE, QUERY)


YARD = scene(*PLACE.instances, thing("cat", "cat", 100, 600, 60, 50))
BEFORE = {"target": ["x"], "category": "bench", "rel": "named", "to": None, "read": None, "arg": None, "value": None}
ASKED = BEFORE | {"category": "dog", "rel": "behind", "to": "h1", "read": "parts", "arg": "legs", "value": "9"}
ORIGINAL = (
    Hop(("bench",), "bench", Relation.NAMED),
    Hop(("near",), "brown dog", Relation.BEHIND, "h1", Read.PARTS, "ears", Fraction(2)),
    Hop(("far",), "dog", Relation.BEHIND, "h1", Read.PARTS, "legs", Fraction(3)),
    Hop(("kite",), "toy", Relation.BEHIND, "h1", Read.SIZE, value="large"),
    Hop(("near",), "spot", Relation.BEHIND, "h1", Read.COUNT, value=Fraction(5)),
    Hop(("cat",), "cat", Relation.IN_FRONT_OF, None, Read.PARTS, "legs", Fraction(4)),
)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, 3),  # the same look at the same noun
        ({"arg": "ears"}, 2),
        ({"category": "white dog"}, 3),
        ({"arg": "tails"}, 9),  # the dog is found, and what takes eyes stays as it was read
        ({"read": "count", "arg": None, "category": "dot"}, 5),  # code knows neither word
        ({"read": "count", "arg": None}, 5),  # a spot may be a dog
        ({"read": "count", "arg": None, "to": None}, 9),  # not behind the bench
        ({"category": "cat"}, 9),
        ({"rel": "in_front_of"}, 9),
        ({"rel": "in_front_of", "to": None, "category": "cat"}, 4),
        ({"to": "h2"}, None),
    ],
)
def test_what_takes_eyes_reads_as_in_the_hop_of_the_same_words(change: dict[str, Any], result: int | None) -> None:
    original = Query("?", ORIGINAL, "h2", Fraction(2), ())
    if result is None:
        with pytest.raises(RoundTripError):
            run_program([BEFORE, ASKED | change], "h2", YARD, original)
    else:
        assert run_program([BEFORE, ASKED | change], "h2", YARD, original) == result


def test_what_takes_eyes_is_found_for_later_hops_too() -> None:
    """Neither the words for the kite nor its reading are the same, so only the place leads to it."""
    toy = ASKED | {"category": "paper thing", "read": None, "arg": None, "value": None}
    count = BEFORE | {"target": [], "category": "dog", "rel": "right_of", "to": "h2", "read": "count", "value": "9"}
    original = Query("?", (ORIGINAL[0], ORIGINAL[3]), "h2", Fraction(2), ())
    assert run_program([BEFORE, toy, count], "h3", YARD, original) == 1
    kite = Query("?", (ORIGINAL[0], replace(ORIGINAL[3], category="kite")), "h2", Fraction(2), ())
    assert run_program([BEFORE, toy, count], "h3", YARD, kite) == 1
    assert run_program([BEFORE, toy | {"category": "dog"}, count], "h3", YARD, kite) == 9


def test_a_program_has_up_to_twelve_hops() -> None:
    assert run_program([BEFORE] * 11 + [ASKED], "h12", YARD, replace(QUERY, hops=ORIGINAL)) == 3
    with pytest.raises(RoundTripError, match="13 hops"):
        run_program([BEFORE] * 12 + [ASKED], "h13", YARD, replace(QUERY, hops=ORIGINAL))


def test_facts_come_once_and_in_the_order_of_the_instances() -> None:
    looks = [replace(hop, to=None, rel=Relation.NAMED) for hop in ORIGINAL[1:4]]
    facts = unexecutable_facts(Query("?", (*looks[::-1], *looks), "1", Fraction(1), ()), YARD)
    assert [(fact["of"], fact["value"]) for fact in facts] == [(["near"], "2"), (["far"], "3"), (["kite"], '"large"')]
    lost = [replace(looks[0], target=(one,)) for one in ("bench", "gone")]  # which a draft may name, unchecked
    facts = unexecutable_facts(Query("?", tuple(lost), "1", Fraction(1), ()), YARD)
    assert [fact["of"] for fact in facts] == [["gone"], ["bench"]]
    spots = replace(ORIGINAL[4], to=None)
    facts = unexecutable_facts(Query("?", (looks[0], spots), "1", Fraction(1), ()), YARD)
    assert [(fact["of"], fact.get("to")) for fact in facts] == [([], []), (["near"], None)]
