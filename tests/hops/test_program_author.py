"""What the program author writes about pages of text, and what it leaves alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from benchmarks.truth import seen
from hopchain_etl.hops import program_author
from hopchain_etl.hops.calibration import wilson
from hopchain_etl.hops.checks import check, count_conditions
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.phrasing import is_countable
from hopchain_etl.hops.program_author import Limits, write_queries
from hopchain_etl.hops.query import SIDES, Query, Read, Relation, decimal_text
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import StepFinder
from hopchain_etl.scenes import draw
from hopchain_etl.scenes.oracle import PERFECT
from support.hop_scenes import HEIGHT as SCENE_HEIGHT
from support.hop_scenes import WIDTH as SCENE_WIDTH
from support.hop_scenes import disc, one_kind, price_list, shaped, street, thing
from support.pinned_scenes import SCENES
from support.read_scenes import reading

WIDTH, HEIGHT = 1000, 600
LINES = (
    "A heading of this page",
    "the first line of it",
    "and then the second",
    "followed by another",
    "until it ends",
)


def page(*, pitch: int = 100) -> Scene:
    """Lines of 60 px, ``pitch`` px apart, over the whole width."""
    tops = [40 + pitch * number for number in range(len(LINES))]
    lines = (
        Instance(str(number), "text", (20, top, 900, top + 60), 880 * 60, text=text)
        for number, (top, text) in enumerate(zip(tops, LINES, strict=True))
    )
    return Scene(tuple(lines), WIDTH, HEIGHT)


PINNED = [
    ("prices", Limits(), "048e2a6001bc3d0e"),
    ("prices", Limits((3, 4), 40, 2), "4f72cbbc158ca025"),
    ("chart", Limits(words=90), "10ff3d7c5b8422cb"),
    ("devices", Limits(), "6c96953f5c7c80b6"),
    ("page", Limits(), "4b0aa1e21e2ad1ef"),
    ("sweets", Limits(words=90), "9c5b3f0531d4710a"),
    ("few bars", Limits((3, 5), 140, 4), "653402b25e874f7e"),
    ("small numbers", Limits(), "350acbedc9dd6472"),
    ("street", Limits(words=80), "91ea2d8d3ca392e0"),
    ("another street", Limits((3, 5), 80, 4), "2bb0f3a31313174d"),
]


@pytest.mark.parametrize(("name", "limits", "digest"), PINNED)
def test_the_same_instances_give_the_same_queries_on_any_machine(name: str, limits: Limits, digest: str) -> None:
    """A new digest is fine where the author is meant to write otherwise: it says that all queries are new ones."""
    queries = [query for seed in range(4) for query in write_queries(SCENES[name], 3, seed, limits, tries=100)]
    written = "\n".join(map(_written, queries))
    assert queries
    assert hashlib.sha256(written.encode()).hexdigest()[:16] == digest, written


def test_without_a_seed_it_is_the_first_one() -> None:
    scene = price_list()
    assert write_queries(scene, 3) == write_queries(scene, 3, 0) != write_queries(scene, 3, 1)


@pytest.mark.parametrize(("crowded", "written"), [(9, False), (10, True), (11, True)])
def test_a_crowd_gets_walks_of_its_own_number(crowded: int, written: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten instances on a price list; no walk in a crowd here, so that it shows."""
    monkeypatch.setattr(program_author, "CROWDED", crowded)
    monkeypatch.setattr(program_author, "TRIES_IN_CROWD", 0)
    assert bool(write_queries(price_list(), 2)) is written


def _written(query: Query) -> str:
    hops = " ".join(f"{hop.category}/{hop.rel}/{hop.to}/{hop.read}/{hop.value}/{hop.target}" for hop in query.hops)
    return f"{query.question} {query.expr} {decimal_text(query.answer)} {query.combination} {hops}"


def test_a_number_is_compared_with_one_up_to_three_beside_it_and_one_with_itself() -> None:
    """Nothing whole lies between zero and one: that 1 is greater than 1 is never so."""
    bounds = {
        (Fraction(query.values[int(hop)]), int(bound))
        for seed in range(12)
        for query in write_queries(SCENES["small numbers"], 3, seed, tries=100)
        for hop, bound in re.findall(r"if\(h(\d)>(\d+),", query.expr)
    }
    assert {value for value, bound in bounds if value == bound} == {1}
    assert {int(value - bound) for value, bound in bounds} <= set(range(-3, 4))
    assert min(bound for _, bound in bounds) == 1


def counts_lines(scene: Scene) -> bool:
    hops = [hop for query in write_queries(scene, 6) for hop in query.hops]
    return any(hop.read is Read.COUNT and hop.category == "text" for hop in hops)


def test_a_page_yields_queries_that_count_its_lines_and_pass_every_check() -> None:
    scene = page()
    queries = write_queries(scene, 4)
    assert len(queries) >= 3
    for query in queries:
        assert check(query, scene) == ([], 0.0)
        assert "text" in query.question


def test_lines_are_counted_above_below_and_in_all_only_and_rightly() -> None:
    counts = [hop for query in write_queries(page(), 6) for hop in query.hops if hop.read is Read.COUNT]
    assert counts
    assert {hop.rel for hop in counts} <= {Relation.ABOVE, Relation.BELOW, Relation.NAMED}
    assert all(hop.value == Fraction(len(hop.target)) for hop in counts)
    assert all(len(hop.target) == len(LINES) for hop in counts if hop.rel is Relation.NAMED)


def test_lines_are_not_counted_where_one_is_doubtful_or_stands_beside_another_or_they_are_few() -> None:
    lines = page().instances
    assert counts_lines(page())
    doubtful = (*lines[:2], replace(lines[2], certain=False), *lines[3:])
    beside = (*lines, Instance("beside", "text", (920, 240, 990, 300), 70 * 60, text="a note"))
    for instances in (doubtful, beside, lines[:4]):
        assert not counts_lines(Scene(instances, WIDTH, HEIGHT))


@pytest.mark.parametrize("quantities", [2, 3])
def test_no_question_reads_more_numbers_than_it_may_and_some_read_as_many(quantities: int) -> None:
    queries = write_queries(price_list(), 8, limits=Limits(quantities=quantities))
    assert max(sum(hop.read is not None for hop in query.hops) for query in queries) == quantities


def test_conditions_come_out_yes_about_half_of_the_time() -> None:
    drawn = [seen(draw(kind, seed), PERFECT) for kind in ("bars", "figures", "shelf", "table") for seed in range(3)]
    scenes = [*map(street, range(40)), *drawn]
    yes, no = count_conditions(query for scene in scenes for query in write_queries(scene, 4))
    assert yes + no >= 200
    assert 0.4 < yes / (yes + no) < 0.6, wilson(yes, yes + no)


@pytest.fixture(scope="module")
def about_sweets() -> list[tuple[Scene, list[Query]]]:
    """Scenes with things of one kind, and what is asked about each."""
    return [(scene, write_queries(scene, 4)) for scene in map(one_kind, range(6))]


def test_things_of_one_kind_yield_questions_that_an_independent_reader_answers_alike(
    about_sweets: list[tuple[Scene, list[Query]]],
) -> None:
    assert sum(bool(queries) for _, queries in about_sweets) >= 5
    for scene, queries in about_sweets:
        for query in queries:
            assert reading(query.question, scene) == query.answer, query.question


def test_a_thing_is_not_called_beside_another_by_its_colour(about_sweets: list[tuple[Scene, list[Query]]]) -> None:
    hops = [hop for _, queries in about_sweets for query in queries for hop in query.hops]
    beside = [hop for hop in hops if hop.rel in SIDES and hop.to is not None and hop.read is not Read.COUNT]
    assert {hop.category for hop in beside} == {"sweet"}  # a sweet of another colour may be in between
    near = {hop.category for hop in hops if hop.rel is Relation.NEAREST}
    assert len(near) > 1


def test_of_two_the_one_that_is_left_is_called_the_other(about_sweets: list[tuple[Scene, list[Query]]]) -> None:
    for scene, queries in about_sweets:
        for query in queries:
            for hop in query.hops:
                if hop.rel is Relation.NEAREST and hop.to_hop:
                    anchor = scene.get(query.hops[hop.to_hop - 1].target[0])
                    assert len(scene.matching(hop.category, without=anchor)) >= 2


def test_no_colour_is_read_that_the_question_says_with_its_noun(about_sweets: list[tuple[Scene, list[Query]]]) -> None:
    reads = 0
    for _, queries in about_sweets:
        for query in queries:
            read = {str(hop.value) for hop in query.hops if hop.read is Read.COLOUR}
            assert not [colour for colour in read if f"{colour} sweet" in query.question]
            reads += len(read)
    assert reads


def bar_chart() -> Scene:
    """Six bars of one colour but one, each with the value that is printed at it."""
    values = (42, 17, 65, 23, 58, 31)
    bars = (
        thing(f"bar{n}", "bar", 100 + 140 * n, 700 - 8 * value, 80, 8 * value, text=str(value), masked=True,
              colour="red" if n == 4 else "blue")
        for n, value in enumerate(values)
    )  # fmt: skip
    return Scene(tuple(bars), SCENE_WIDTH, SCENE_HEIGHT)


def test_values_of_a_chart_are_read_where_they_are_printed() -> None:
    scene = bar_chart()
    queries = write_queries(scene, 4)
    assert queries
    read = [hop for query in queries for hop in query.hops if hop.read is Read.NUMBER]
    assert read
    assert all(hop.value == scene.get(hop.target[0]).number for hop in read)
    for query in queries:
        assert check(query, scene) == ([], 0.0)
        assert reading(query.question, scene) == query.answer, query.question


def test_a_bar_leads_to_the_entry_of_the_legend_that_has_its_colour() -> None:
    scene = SCENES["chart"]
    queries = write_queries(scene, 40, limits=Limits(words=100), tries=2_500)  # legends take many words
    led = [hop for query in queries for hop in query.hops if hop.rel is Relation.MATCHING]
    assert led
    assert {hop.category for hop in led} == {"legend patch"}  # two bars have the colour of each
    for query in queries:
        assert check(query, scene) == ([], 0.0)
        assert reading(query.question, scene) == query.answer, query.question
        for hop in query.hops:
            if hop.rel is Relation.MATCHING:
                assert hop.to_hop
                assert scene.get(hop.target[0]).colour == query.hops[hop.to_hop - 1].value


def with_buttons() -> Scene:
    """Three devices of one size in a row, with one, two and three buttons on them, and a plain box."""
    bodies = [shaped(f"d{n}", "device", disc(150 + 330 * n, 400, 130 - 20 * n), "grey") for n in range(3)]
    buttons = [
        shaped(f"b{n}{m}", "button", disc(110 + 330 * n + 40 * m, 400, 12), "red")
        for n in range(3)
        for m in range(n + 1)
    ]
    return Scene((*bodies, *buttons, thing("box", "box", 20, 700, 60, 60, masked=True)), SCENE_WIDTH, SCENE_HEIGHT)


def test_parts_of_a_thing_are_counted_in_it_and_on_it() -> None:
    scene = with_buttons()
    counts = [
        hop
        for query in write_queries(scene, 6)
        for hop in query.hops
        if hop.read is Read.COUNT and hop.rel in (Relation.IN, Relation.ON)
    ]
    assert counts
    for hop in counts:
        assert all(target.startswith("b") for target in hop.target)
        assert len({target[:2] for target in hop.target}) == 1  # the buttons of one device


def written_about(*things: Instance, complete: bool = False) -> list[Query]:
    return write_queries(Scene(things, SCENE_WIDTH, SCENE_HEIGHT, complete), 4, tries=300)


def test_nothing_is_asked_that_people_see_with_depth() -> None:
    cars = [
        thing(f"c{n}", "car", 40 + 190 * n, 300 + 12 * n, 120, 110, colour=("red", "blue")[n % 2], masked=True)
        for n in range(5)
    ]
    driver = thing("d", "person", 80, 330, 30, 60, masked=True)
    far = thing("far", "car", 480, 100, 60, 40, colour="red", masked=True)
    hops = [hop for query in written_about(*cars, driver, far, complete=True) for hop in query.hops]
    assert hops
    assert not {hop.rel for hop in hops} & {Relation.TALLEST, Relation.WIDEST, Relation.IN, Relation.ON}
    near = [hop for hop in hops if hop.to_hop and hop.rel in SIDES | {Relation.NEAREST} and hop.referent == "far"]
    assert not near  # the far one is not beside a near one


def test_a_category_that_says_a_colour_gets_no_other() -> None:
    boards = [thing(f"b{n}", "white board", 40 + 190 * n, 300, 120, 110, colour="white", masked=True) for n in range(4)]
    assert not [name for name in StepFinder(Scene(tuple(boards), 1000, 800)).names if "white white" in name]


def test_a_thing_of_unknown_colours_may_have_any() -> None:
    limes = [thing(f"l{n}", "lime", 40 + 190 * n, 300, 120, 110, colour="green", masked=True) for n in range(3)]
    crowd = thing("crowd", "lime", 700, 600, 200, 100, certain=False)
    assert "green lime" in StepFinder(Scene(tuple(limes), 1000, 800)).names
    assert "green lime" not in StepFinder(Scene((*limes, crowd), 1000, 800)).names


def test_a_sliver_at_the_edge_of_the_picture_is_not_counted_but_half_a_thing_is() -> None:
    whole = [thing(str(n), "tile", 100 + 200 * n, 300, 90, 90) for n in range(3)]
    for width, countable in ((45, True), (10, False)):
        cut = thing("cut", "tile", SCENE_WIDTH - width, 300, width, 90)
        assert is_countable(Scene((*whole, cut), SCENE_WIDTH, SCENE_HEIGHT), "tile") is countable
    small = thing("small", "tile", 800, 300, 25, 90)  # further away, not cut off
    assert not is_countable(Scene((*whole, small), SCENE_WIDTH, SCENE_HEIGHT), "tile")
