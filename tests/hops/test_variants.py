"""Half and single variants: they stand alone, and the independent reader gets the same answers from them."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import pytest

from hopchain_etl.hops.checks import VARIANT_RULES, check
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Hop, Query, Read, Relation, query_from_row
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import Step, first_steps
from hopchain_etl.hops.variants import VARIANTS, columns, to_row, variant, variant_violation
from support.hop_scenes import HEIGHT, WIDTH, price_list, thing
from support.read_scenes import reading, some_scenes


class Pair(NamedTuple):
    kind: str
    full: Query
    variant: Query | None
    scene: Scene


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Every variant of every question over a fifth of the reader's scenes, so that each kind of picture is there."""
    made = []
    for _, seed, scene in some_scenes(5):
        ways = first_steps(scene)
        for query in write_queries(scene, 6, seed):
            made += [Pair(kind, query, variant(kind, query, scene, ways), scene) for kind in VARIANTS]
    return made


def written(pairs: list[Pair]) -> list[tuple[str, Query, Query, Scene]]:
    return [(kind, full, one, scene) for kind, full, one, scene in pairs if one is not None]


def test_the_reader_agrees_on_every_variant(pairs: list[Pair]) -> None:
    failures = [
        f"{kind}: {one.question}\n  author {one.answer}, reader {read}"
        for kind, _, one, scene in written(pairs)
        if (read := reading(one.question, scene)) != one.answer
    ]
    assert len(written(pairs)) >= 450
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures[:10])


def test_most_questions_have_both(pairs: list[Pair]) -> None:
    assert len(written(pairs)) >= 0.8 * len(pairs)


def test_half_keeps_the_second_half_and_single_the_last_hop(pairs: list[Pair]) -> None:
    for kind, full, one, _ in written(pairs):
        kept = len(full.hops) - len(full.hops) // 2 if kind == "half" else 1
        assert len(one.hops) in (kept, kept + 1)  # one look more where an instance is only found from another
        for mine, theirs in zip(one.hops[::-1], full.hops[: -kept - 1 : -1], strict=False):
            assert (mine.target, mine.read, mine.value) == (theirs.target, theirs.read, theirs.value)
        lead_in = one.hops[: len(one.hops) - kept]
        assert all(hop.to is None and hop.read is None for hop in lead_in)


def test_each_stands_alone_and_says_nothing_of_what_is_read(pairs: list[Pair]) -> None:
    for _, _, one, scene in written(pairs):
        assert check(one, scene, VARIANT_RULES) == ([], 0.0)
        assert one.hops[0].to is None


def test_no_answer_of_a_difference_is_negative(pairs: list[Pair]) -> None:
    assert all(one.answer > 0 for _, _, one, _ in written(pairs))


def test_the_same_query_gives_the_same_variant() -> None:
    scene = price_list()
    for query in write_queries(scene, 4):
        for kind in VARIANTS:
            assert variant(kind, query, scene, first_steps(scene)) == variant(kind, query, scene, first_steps(scene))


def test_what_cannot_be_described_alone_has_no_variant() -> None:
    scene = price_list()
    query = next(query for query in write_queries(scene, 6) if query.hops[-1].to)
    assert variant("single", query, scene, first_steps(scene)) is not None
    assert variant("single", query, scene, []) is None


def test_a_row_holds_a_variant_with_its_program_and_none_as_nulls() -> None:
    scene = price_list()
    halves = (variant("half", query, scene, first_steps(scene)) for query in write_queries(scene, 6))
    made = next(half for half in halves if half)
    row = to_row("half", made)
    question, answer, hops, expr = (row[name] for name in columns("half"))
    back = query_from_row({"question": question, "answer": answer, "hops": hops, "expr": expr})
    assert made == replace(back, combination=made.combination)
    assert set(to_row("single", None).values()) == {None}
    assert variant_violation("half", row, scene) is None
    assert variant_violation("single", row, scene) is None


def broken(change: dict[str, object]) -> str | None:
    scene = price_list()
    singles = (variant("single", query, scene, first_steps(scene)) for query in write_queries(scene, 6))
    row = to_row("single", next(one for one in singles if one))
    found = variant_violation("single", row | change, scene)
    return found.reason if found else None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"answer_single": "999"}, "wrong_answer"),
        ({"answer_single": None}, "incomplete"),
        ({"question_single": "What is in the bounding box?"}, "forbidden_word"),
        ({"question_single": "What is in the mask?", "hops_single": None, "expr_single": None}, "forbidden_word"),
        ({"question_single": "How many?", "hops_single": None, "expr_single": None}, None),
        ({"expr_single": "h9"}, "forward_reference"),
        ({"expr_single": "h1 h1"}, "bad_expression"),
        ({"answer_single": "many"}, "unreadable_query"),
    ],
)  # fmt: skip
def test_a_broken_variant_is_told(change: dict[str, object], reason: str | None) -> None:
    assert broken(change) == reason


@pytest.mark.parametrize(
    ("dogs", "sign", "cars", "expr", "answer"),
    [
        (3, "-", 2, "h1-h2", 1),
        (2, "-", 2, "h1+h2", 4),
        (2, "-", 3, "h1+h2", 5),
        (2, "+", 3, "h1+h2", 5),
        (2, "*", 3, "h1*h2", 6),
    ],
)
def test_a_variant_of_two_counts_keeps_their_sign_unless_it_comes_to_nothing(
    dogs: int, sign: str, cars: int, expr: str, answer: int
) -> None:
    kept = {"dog": dogs, "car": cars}
    made = [thing(f"{one}{n}", one, 100 * n, y, 60, 60) for y, one in enumerate(kept) for n in range(kept[one])]
    counts = [Hop((), one, Relation.NAMED, None, Read.COUNT, value=Fraction(kept[one])) for one in kept]
    dropped = Hop(("dog0",), "dog", Relation.LEFT_OF, None, Read.NUMBER, value=Fraction(9))
    query = Query("?", (dropped, dropped, *counts), f"(h1+h3){sign}h4", Fraction(0))
    half = variant("half", query, Scene(tuple(made), WIDTH, HEIGHT), [])
    assert half is not None
    assert (half.expr, half.answer, half.combination, half.hops) == (expr, answer, (), tuple(counts))


@pytest.mark.parametrize(
    ("whole", "expr", "answer"),
    [
        ("(h1+letters(h4)+h5)*h6", "(letters(h1)+h2)*h3", (6 + 41) * 29),
        ("(h1+letters(h4)-h5)*h6", "(letters(h1)+h2)*h3", (6 + 41) * 29),
        ("h1*letters(h4)*h5*h6", "letters(h1)*h2*h3", 6 * 41 * 29),
        ("(h1-letters(h4))*h5-h6", "letters(h1)*h2-h3", 6 * 41 - 29),
        ("h1+letters(h4)+h5-h6", "letters(h1)+h2-h3", 6 + 41 - 29),
        ('(h1+if(letters(h4)>5,9,2))*h5+h6', "if(letters(h1)>5,9,2)*h2+h3", 9 * 41 + 29),
    ],
)  # fmt: skip
def test_a_half_is_computed_from_left_to_right_as_the_whole_is(whole: str, expr: str, answer: int) -> None:
    apples, price, near = "t80-100", "t600-100", "t600-430"
    dropped = Hop((near,), "number", Relation.BELOW, None, Read.NUMBER, value=Fraction(100))
    kept = (
        Hop((apples,), "word", Relation.ABOVE, None, Read.TEXT, value="Apples"),
        Hop((price,), "number", Relation.RIGHT_OF, "h4", Read.NUMBER, value=Fraction(41)),
        Hop((near,), "number", Relation.NEAREST_VALUE, "h5", Read.NUMBER, value=Fraction(29)),
    )
    half = variant("half", Query("?", (dropped, dropped, dropped, *kept), whole, Fraction(0)), price_list(), [])
    assert half is not None
    assert (half.expr, half.answer, half.combination) == (expr, answer, (apples, price, near))
    assert [hop.to for hop in half.hops] == [None, "h1", "h2"]
    assert bool(re.search("it has more than 5 letters, . is 9, otherwise 2", half.question)) is ("if" in whole)


def test_a_single_hop_is_found_from_nothing_or_else_from_the_thing_before_it() -> None:
    scene = price_list()
    word, price = scene.get("t80-540"), scene.get("t600-540")
    start = Hop((word.id,), 'word "Quinces"', Relation.NAMED)
    read = Hop((price.id,), "number", Relation.RIGHT_OF, "h1", Read.NUMBER, value=Fraction(83))
    lines = ("t600-100", "t600-210", "t600-320", "t600-430")
    above = Hop(lines, "number", Relation.ABOVE, "h1", Read.COUNT, value=Fraction(4))
    by_name, lowest = Step('word "Quinces"', Relation.NAMED, word), Step("number", Relation.BELOW, price)

    def single(last: Hop, *starts: Step) -> tuple[Hop, ...] | None:
        one = variant("single", Query("?", (start, last), "h2", Fraction(0)), scene, starts)
        return one and one.hops

    assert single(read, by_name, lowest) == (replace(read, rel=Relation.BELOW, to=None),)
    assert single(read, by_name) == (start, read)
    assert single(read) is None
    assert single(above, lowest) is None
    assert single(above, lowest, by_name) == (start, above)
    unread = Query("?", (above, replace(read, to=None, rel=Relation.BELOW, read=None)), "h1", Fraction(4))
    assert variant("single", unread, scene, [by_name, lowest]) is None


def test_a_difference_keeps_its_sign_unless_it_falls_to_zero() -> None:
    scene = price_list()
    seen = set()
    for seed in range(40):
        for query in write_queries(scene, 6, seed):
            one = variant("half", query, scene, first_steps(scene))
            if one and "-" in query.expr:
                seen.add("-" in one.expr)
                assert one.answer > Fraction(0)
    assert seen == {True, False}
