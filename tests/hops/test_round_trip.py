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
        (program({"rel": "beside"}), "h2", "beside"),
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
