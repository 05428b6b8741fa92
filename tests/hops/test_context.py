from __future__ import annotations

from fractions import Fraction

from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.query import Hop, Query, Read, Relation
from support.hop_scenes import scene, thing


def query(expr: str, *hops: Hop) -> Query:
    return Query("What is it?", hops, expr, Fraction(7), ())


def count(of: str, found: int) -> Hop:
    return Hop((), of, Relation.NAMED, None, Read.COUNT, value=Fraction(found))


def test_coverage_is_the_share_of_wrong_readings_that_matter() -> None:
    counted = (count("car", 7), count("dog", 2))
    assert build_context(query("h1 + h2 - 2", *counted), scene()).coverage == 1
    assert build_context(query("h1 + 0 * h2", *counted), scene()).coverage == 0.5
    assert build_context(query("h1 +", *counted), scene()).coverage == 0


def test_the_sixteen_nearest_others_are_tried_as_wrong_instances() -> None:
    cars = [thing(f"c{number:02}", "car", 50 * number, 300, 30, 30) for number in range(19)]
    leftmost = Hop(("c00",), "car", Relation.LEFT_OF)
    context = build_context(query("h2", leftmost, count("car", 19)), scene(*reversed(cars)))
    tried = [instance for _, instance, _ in context.wrong_instance_results()]
    assert tried == [f"c{number:02}" for number in range(1, 17)]


def test_texts_that_a_reading_is_compared_with_on_either_side() -> None:
    hops = (Hop(("a",), "car", Relation.NAMED, None, Read.COLOUR, value="red"), count("dog", 2))
    context = build_context(query('if(h1 == "red", 1, 2) + if("blue" != h1, h2, if(h2 > 1, 3, 4))', *hops), scene())
    assert context.text_comparisons == [(1, "red"), (1, "blue")]
