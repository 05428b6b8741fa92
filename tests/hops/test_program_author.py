"""What the program author writes about pages of text, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from benchmarks.truth import seen
from hopchain_etl.hops.calibration import wilson
from hopchain_etl.hops.checks import check, count_conditions
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Read, Relation
from hopchain_etl.hops.scene import Scene
from hopchain_etl.scenes import draw
from hopchain_etl.scenes.oracle import PERFECT
from support.hop_scenes import street

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


def counts_lines(scene: Scene) -> bool:
    hops = [hop for query in write_queries(scene, 6) for hop in query.hops]
    return any(hop.read is Read.COUNT and hop.category == "text" for hop in hops)


def test_a_page_yields_queries_that_count_its_lines_and_pass_every_check() -> None:
    scene = page()
    queries = write_queries(scene, 4)
    assert len(queries) == 4
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


def test_the_same_instances_give_the_same_queries() -> None:
    assert write_queries(page(), 4) == write_queries(page(), 4)


def test_conditions_come_out_yes_about_half_of_the_time() -> None:
    drawn = [seen(draw(kind, seed), PERFECT) for kind in ("bars", "figures", "shelf", "table") for seed in range(3)]
    scenes = [*map(street, range(40)), *drawn]
    yes, no = count_conditions(query for scene in scenes for query in write_queries(scene, 4))
    assert yes + no >= 200
    assert 0.4 < yes / (yes + no) < 0.6, wilson(yes, yes + no)
