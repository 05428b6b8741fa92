from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.query import Hop, Query, Read, Relation
from hopchain_etl.hops.verdict import Verdict
from support.hop_scenes import line, scene, thing


def query(expr: str, *hops: Hop) -> Query:
    return Query("What is it?", hops, expr, Fraction(7), ())


def count(of: str, found: int) -> Hop:
    return Hop((), of, Relation.NAMED, None, Read.COUNT, value=Fraction(found))


def test_coverage_is_the_share_of_wrong_readings_that_matter() -> None:
    counted = (count("car", 7), count("dog", 2))
    assert build_context(query("h1 + h2 - 2", *counted), scene()).coverage == 1
    assert build_context(query("h1 + 0 * h2", *counted), scene()).coverage == 0.5
    assert build_context(query("h1 +", *counted), scene()).coverage == 0
    without_value = build_context(query("7 / (h1 - 7)", *counted[:1]), scene())
    assert (without_value.perturbed, without_value.coverage) == ({}, 0)
    seen = Hop(("a",), "car", Relation.NAMED, None, Read.PRESENT, "a hat", value=True)
    assert build_context(query("if(h1, 7, 3)", seen), scene()).coverage == 1


def test_the_unchecked_share_is_that_of_the_hops_that_code_cannot_execute_or_read() -> None:
    bench, behind = Hop(("b",), "bench", Relation.NAMED), Hop(("b",), "bench", Relation.BEHIND, "h1")
    parts = Hop(("b",), "bench", Relation.NAMED, None, Read.PARTS, "legs", Fraction(4))
    unclear = Hop(("b",), "bench", Relation.NAMED, None, Read.COLOUR, value="red")  # code looks, and it is not clear
    park = scene(thing("b", "bench", 300, 300, 90, 60))
    for hops, share in (((), 0), ((behind,), 1), ((parts,), 1), ((unclear,), 0), ((bench, behind, parts, bench), 0.5)):
        assert build_context(query("1", *hops), park).unchecked == share


def test_from_a_wrong_instance_later_hops_are_executed_again() -> None:
    """Each car has a bus beside it, and a dog beside the bus; only two of the buses have a clear colour."""
    row = [
        (thing(f"car{n}", "car", 100, 250 * n, 60, 60), thing(f"bus{n}", "bus", 300, 250 * n, 60, 60, colour=colour),
         thing(f"dog{n}", "dog", 500, 250 * n, 60, 60, colour="brown"))
        for n, colour in enumerate(("red", "blue", None))
    ]  # fmt: skip
    yard = scene(*(one for three in row for one in three))
    car = Hop(("car0",), "car", Relation.ABOVE)
    bus = Hop(("bus0",), "bus", Relation.RIGHT_OF, "h1", Read.COLOUR, value="red")
    dog = Hop(("dog0",), "dog", Relation.RIGHT_OF, "h2", Read.COLOUR, value="brown")
    cars = Hop(("car1", "car2"), "car", Relation.BELOW, "h1", Read.COUNT, value=Fraction(2))
    total = Hop((), "dog", Relation.NAMED, None, Read.COUNT, value=Fraction(30))  # as stated, right or wrong

    def astray(expr: str, *hops: Hop) -> dict[tuple[int, str], Fraction | int | None]:
        found = build_context(query(expr, *hops), yard).wrong_instance_results()
        return {(number, instance): result for number, instance, result in found}

    assert astray('if(h2 == "red", 1, 2) * 100 + h4 * 10 + h5', car, bus, dog, cars, total) == {
        (1, "car1"): 240, (1, "car2"): None, (2, "bus1"): 250, (2, "bus2"): None, (3, "dog1"): 150, (3, "dog2"): 150,
    }  # fmt: skip
    shaped = Hop(("dog0",), "dog", Relation.RIGHT_OF, "h2", Read.SHAPE, value="round")
    again = Hop(("car0",), "car", Relation.NAMED, "h1")  # a further look leads nowhere else
    assert astray("h2", car, Hop((), "dog", Relation.NAMED, None, Read.COUNT, value=Fraction(3)), again) == {
        (1, "car1"): 3, (1, "car2"): 3,
    }  # fmt: skip
    assert astray("h3", car, replace(bus, read=None, value=None), cars, shaped) == {}
    assert astray("h1 +", car, bus) == {}
    assert astray("h4", car, again, replace(bus, to="h1"), total) == {
        (1, "car1"): 30, (1, "car2"): None, (3, "bus1"): 30, (3, "bus2"): None,
    }  # fmt: skip


def test_a_wrong_instance_that_code_cannot_read_is_passed_over() -> None:
    signs = [thing(f"s{n}", "sign", 100, 100 + 200 * n, 200, 100, masked=True) for n in range(3)]
    market = scene(*signs, line("a", "47", 150, 130), line("b", "12", 150, 530))
    first = Hop(("s0",), "sign", Relation.ABOVE, None, Read.NUMBER, value=Fraction(47))
    found = build_context(query("h1", first), market).wrong_instance_results()
    assert list(found) == [(1, "s2", 12)]


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


def test_after_a_wrong_instance_a_sum_is_of_the_new_readings() -> None:
    """With a new reading and an old one, two numbers would be equally near."""
    said = {"10": (100, 100), "20": (100, 300), "30": (400, 100), "40": (400, 300), "60": (700, 100), "70": (700, 300)}
    page = scene(*(thing(one, "text", *at, 44, 40, text=one) for one, at in said.items()))
    hops = (
        Hop(("10",), 'number "10"', Relation.NAMED, None, Read.NUMBER, value=Fraction(10)),
        Hop(("20",), "number", Relation.BELOW, "h1", Read.NUMBER, value=Fraction(20)),
        Hop(("30",), "number", Relation.NEAREST_VALUE, "h1+h2", Read.NUMBER, value=Fraction(30)),
    )
    found = build_context(query("h3", *hops), page).wrong_instance_results()
    assert {instance: result for number, instance, result in found if number == 1} == {
        "20": None, "30": 70, "40": None, "60": 70, "70": None,
    }  # fmt: skip


def test_a_message_names_its_hop() -> None:
    context = build_context(query("h1", count("car", 7), count("dog", 2)), scene())
    assert context.first(lambda hop, _: "no dog" if hop.category == "dog" else None) == "h2 (named dog): no dog"
    assert context.first(lambda hop, result: None) is None


def test_after_a_wrong_instance_a_wrong_reading_of_the_same_thing_is_put_right() -> None:
    cars = [thing(f"car{n}", "car", 100 + 300 * n, 300, 60, 60) for n in range(2)]
    yard = scene(*cars, thing("bus", "bus", 250, 300, 60, 60, colour="red"))
    hops = (
        Hop(("car0",), "car", Relation.LEFT_OF),
        Hop(("bus",), "bus", Relation.NEAREST, "h1", Read.COLOUR, value="blue"),
    )
    found = build_context(query('if(h2 == "red", 1, 2)', *hops), yard).wrong_instance_results()
    assert list(found) == [(1, "car1", 1)]


def test_a_hop_that_code_cannot_execute_leads_to_no_wrong_instance() -> None:
    kinds = ("car", "dog", "bus")
    things = [
        thing(f"{kind}{n}", kind, 100 + 500 * n, 100 + 200 * y, 60, 60) for y, kind in enumerate(kinds) for n in (0, 1)
    ]
    hops = [Hop((f"{kind}0",), kind, Relation.LEFT_OF) for kind in kinds]
    hops[1] = replace(hops[1], rel=Relation.BEHIND)
    found = build_context(query("1", *hops), scene(*things)).wrong_instance_results()
    assert [(number, instance) for number, instance, _ in found] == [(1, "car1"), (3, "bus1")]


def test_a_verdict_is_on_the_colours_with_which_its_own_hop_is_compared() -> None:
    reddish = thing("reddish", "car", 100, 300, 60, 60, colour="red", colours="red,orange")
    yard = scene(reddish, thing("bus", "bus", 300, 300, 60, 60, colour="blue"))
    hops = (
        Hop(("reddish",), "car", Relation.NAMED, None, Read.COLOUR, value="red"),
        Hop(("bus",), "bus", Relation.NAMED, None, Read.COLOUR, value="blue"),
    )
    for first, second, sure in (("green", "orange", True), ("orange", "green", False)):
        expr = f'if(h1 == "{first}", 1, 2) + if(h2 == "{second}", 1, 2)'
        verdicts = [one.verdict for one in build_context(query(expr, *hops), yard).verdicts]
        assert verdicts == [Verdict.CONFIRMED if sure else Verdict.OPEN, Verdict.CONFIRMED]
