"""Chain search: finds a program that the rules accept, and nothing where things are joined by nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.chain_search import chainable, find_chain
from hopchain_etl.hops.checks import check_draft
from hopchain_etl.hops.expression import parse
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Read, Relation
from support.hop_scenes import price_list, scene, street, text, thing

ROW = [thing(f"c{n}", "car", 150 * n, 300, 60, 60, colour="white") for n in range(6)]


@given(st.integers(0, 300))
def test_what_is_found_passes_the_rules_over_the_combination(seed: int) -> None:
    place = street(seed)
    sure = [one.id for one in place.instances if one.certain]
    found = [(one, find_chain(place, one)) for one in (*islice(combinations(sure, 3), 10), tuple(sure[:6]))]
    for combination, query in found:
        if query is not None:
            assert query.combination == combination
            assert len(query.referents) >= max(3, len(combination) - 1)
            assert query.instance_links >= 2
            assert check_draft(query, place).violations == []


def test_it_finds_a_chain_where_the_program_author_found_one() -> None:
    """Whatever code can prove, an author who sees the photo can write."""
    queries = [(street(seed), query) for seed in range(40) for query in write_queries(street(seed), 2, seed)]
    assert len(queries) >= 20
    missed = [query for place, query in queries if not chainable(place, query.combination)]
    assert missed == []


@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_a_row_of_neighbours_is_a_chain(size: int) -> None:
    query = find_chain(scene(*ROW), [one.id for one in ROW[:size]])
    assert query is not None
    assert set(query.referents) == {one.id for one in ROW[:size]}


def test_the_only_thing_on_a_side_is_counted_too() -> None:
    query = find_chain(scene(*ROW[:4]), ["c1", "c2", "c3"])
    assert query is not None
    assert [hop.value for hop in query.hops if hop.read is Read.COUNT] == [1]


def test_one_may_be_left_out_but_not_two() -> None:
    lone = [thing(name, name, 900, y, 40, 40) for name, y in (("bird", 0), ("tree", 350), ("fence", 700))]
    place = scene(*ROW[:4], *lone)
    cars = ["c0", "c1", "c2"]
    for combination in (["c3", "bird", *cars], ["bird", "tree", *cars], [*cars, "tree", "bird"]):
        query = find_chain(place, combination)
        assert query is not None
        assert set(query.referents) >= {"c1", "c2"}
        assert len(query.referents) >= 4
    assert not chainable(place, ["c0", "c1", "c2", "bird", "tree", "fence"])


def test_names_that_suffice_make_no_chain() -> None:
    lone = [thing(name, name, 150 * n, 300, 60, 60) for n, name in enumerate(("car", "dog", "bench", "bird"))]
    assert not chainable(scene(*lone), [one.id for one in lone])
    assert not chainable(scene(*lone), ["car", "dog"])


@pytest.mark.parametrize("numbers", [1, 2])
def test_a_text_is_read_and_not_looked_at_for_patterns(numbers: int) -> None:
    place = price_list()
    lines = [text("Apples", 80, 100), text("Plums", 80, 210), text("17", 600, 210), text("41", 600, 100)]
    query = find_chain(place, [one.id for one in (*lines[2 - numbers : 4 - numbers], text("Cherries", 80, 320))])
    assert query is not None
    first, *others, count = query.hops
    assert ('"' in first.category, first.read) == (True, None), "what is quoted is not read as well"
    assert count.read is Read.COUNT
    for hop in others:
        one = place.get(hop.target[0])
        assert (hop.read, hop.value) == ((Read.NUMBER, one.number) if one.number else (Read.TEXT, one.text))
    terms = [f"{'letters' if hop.read is Read.TEXT else ''}(h{n})" for n, hop in enumerate(query.hops, 1) if hop.read]
    assert parse(query.expr) == parse("+".join(terms))


@pytest.mark.parametrize(
    ("last", "change", "reads"),
    [
        ("c3", {}, [Read.COLOUR] * 3),
        ("c3", {"colour": None}, [Read.PRESENT] * 3),
        ("c3", {"category": "person"}, [Read.PRESENT] * 3),  # who has clothes, not a colour
        ("red", {}, [Read.PRESENT, Read.COLOUR, Read.COLOUR]),  # the red one is found by its colour
    ],
)
def test_a_colour_is_read_where_the_words_do_not_say_it(last: str, change: dict[str, Any], reads: list[Read]) -> None:
    row = [replace(one, **change) for one in (*ROW[:3], thing(last, "car", 450, 300, 60, 60, colour="white"))]
    place = scene(*row[:3], replace(row[3], colour="red") if last == "red" else row[3])
    query = find_chain(place, ["c1", "c2", last])
    assert query is not None
    assert [hop.read for hop in query.hops] == [*reads, Read.COUNT]
    assert {hop.value for hop in query.hops if hop.read is Read.COLOUR} <= {"white"}


@pytest.mark.parametrize(("size", "counted"), [(12, 9), (13, 2)])
def test_no_more_are_counted_than_people_count_at_a_glance(size: int, counted: int) -> None:
    """The last three of a row: nine stand to the left of them, or ten, and then those to the right are counted."""
    row = [thing(f"c{n}", "car", 70 * n, 300, 40, 40, colour="white") for n in range(size)]
    query = find_chain(scene(*row), [one.id for one in row[-3:]])
    assert query is not None
    assert [hop.value for hop in query.hops if hop.read is Read.COUNT] == [counted]


def test_a_chain_takes_the_surest_link_first_and_from_the_latest_thing() -> None:
    """From the dog the car is beside it, and two birds are equally near: from the car only one of them is nearest."""
    cars = [thing(f"c{n}", "car", x, 400, 40, 40) for n, x in enumerate((400, 600, 20, 940))]
    birds = [thing(f"b{n}", "bird", x, 200, 40, 40) for n, x in enumerate((300, 700, 20, 940))]
    place = scene(thing("d", "dog", 500, 400, 40, 40), *cars, *birds)
    for combination in (["b0", "c0", "d"], ["b0", "b1", "c0", "d"]):
        query = find_chain(place, combination)
        assert query is not None
        found = [(*hop.target, hop.rel, hop.to) for hop in query.hops if hop.referent]
        assert (
            found
            == [
                ("d", Relation.NAMED, None),
                ("c0", Relation.LEFT_OF, "h1"),
                ("b0", Relation.NEAREST, "h2"),
                ("b1", Relation.RIGHT_OF, "h3"),
            ][: len(combination)]
        )


@pytest.mark.parametrize(
    ("seed", "combination", "start"), [(0, "i0 i2 i7", "h2"), (4, "i0 i1 i6", "h1"), (4, "i0 i2 i6", "h2")]
)
def test_where_a_count_alone_does_not_do_the_last_thing_is_looked_at_again(
    seed: int, combination: str, start: str
) -> None:
    query = find_chain(street(seed), combination.split())
    assert query is not None
    *_, last, again, count = query.hops
    assert (again.rel, again.to, again.target) == (Relation.NAMED, "h3", last.target)
    assert (count.read, count.to, query.answer.denominator) == (Read.COUNT, start, 1)
