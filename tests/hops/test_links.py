"""Links: what can be found first, what only from another thing, and what words may mean too many things."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.instance import Instance, TruthValue
from hopchain_etl.hops.links import MOST_MEANT, LinkFinder
from hopchain_etl.hops.query import EXTREMES, SIDES, Relation
from support.hop_scenes import disc, filled, line, price_list, scene, shaped, street, text, thing


def finder_of(*instances: Instance) -> LinkFinder:
    return LinkFinder(scene(*instances), instances)


def test_what_its_name_alone_finds_is_a_start_and_nothing_leads_to_it() -> None:
    dog, left, right = (thing(*one, 300, 60, 60) for one in (("d", "dog", 100), ("a", "car", 300), ("b", "car", 700)))
    finder = finder_of(dog, left, right)
    assert finder.starts["d"][:2] == ("dog", Relation.NAMED)
    assert finder.starts["d"].proven
    assert finder.exits(dog).keys() == {"a"}, "nothing leads to the farther car, which is neither nearest nor beside"
    assert finder.exits(dog)["a"].proven
    assert finder.exits(left).keys() == {"b"}
    assert finder.exits(right).keys() == {"a"}


def test_colour_text_and_place_find_a_start() -> None:
    cars = [
        thing(f"c{n}", "car", 150 * n, 300, 60, 60, colour=colour)
        for n, colour in enumerate(["white", "white", "red", "white", "white"])
    ]
    finder = finder_of(*cars)
    assert finder.starts["c2"][:2] == ("red car", Relation.NAMED)
    assert {finder.starts[one].rel for one in ("c0", "c4")} == {Relation.LEFT_OF, Relation.RIGHT_OF}
    assert "c1" not in finder.starts
    words = price_list()
    starts = LinkFinder(words, words.instances).starts
    assert {link.phrase for link in starts.values()} >= {'text "Plums"', 'text "17"'}


def test_a_text_on_a_thing_is_reached_from_it() -> None:
    buses = [thing(f"b{n}", "bus", 500 * n, 200, 300, 200, masked=True) for n in range(2)]
    numbers = [text(reading, 500 * n + 100, 260) for n, reading in enumerate(["12", "47"])]
    finder = finder_of(*buses, *numbers)
    assert [finder.exits(bus)[line.id].proven for bus, line in zip(buses, numbers, strict=True)] == [True, True]


def test_two_that_lie_alike_may_both_be_meant_but_not_three() -> None:
    dog = thing("d", "dog", 500, 400, 40, 40)
    pair = [thing(f"c{n}", "car", 400 + 200 * n, 400, 40, 40) for n in range(2)]
    assert {one: (link.meant, link.proven) for one, link in finder_of(dog, *pair).exits(dog).items()} == {
        "c0": (1, True), "c1": (1, True),
    }  # fmt: skip
    above = [thing(f"c{n}", "car", 300 + 400 * n, 200, 40, 40) for n in range(2)]  # neither is nearer nor beside
    assert {one: (link.meant, link.proven) for one, link in finder_of(dog, *above).exits(dog).items()} == {
        "c0": (2, False), "c1": (2, False),
    }  # fmt: skip
    ring = [thing(f"c{n}", "car", *at, 40, 40) for n, at in enumerate([(300, 200), (700, 200), (300, 600), (700, 600)])]
    assert not finder_of(dog, *ring).exits(dog)


@given(st.integers(0, 300))
def test_a_link_means_its_target_and_few_others(seed: int) -> None:
    place = street(seed)
    sure = [one for one in place.instances if one.certain]
    finder = LinkFinder(place, sure)
    for anchor in (None, *sure):
        for name, link in (finder.exits(anchor) if anchor else finder.starts).items():
            meant = place.meant(link.phrase, link.rel, anchor)
            assert name == link.target.id in {one.id for one, _ in meant}
            assert link.target is not anchor
            assert link.target in sure
            assert link.meant == len(meant) <= MOST_MEANT
            assert link.proven == (meant[0][1] is TruthValue.YES and len(meant) == 1)
            assert anchor is None or len(place.matching(link.phrase)) > 1


def test_what_a_thing_holds_is_reached_from_it_though_another_is_as_near() -> None:
    cup = disc(400, 400, 30)
    table = shaped("table", "table", filled(200, 300, 400, 200) & ~cup)
    held, below = shaped("held", "cup", cup), thing("below", "cup", 380, 502, 40, 60)
    link = finder_of(table, held, below).exits(table)[held.id]
    assert (link.rel, link.proven) == (Relation.ON, True)
    as_large = replace(held, area=table.area)
    link = finder_of(table, as_large, below).exits(table)[held.id]
    assert (link.rel in SIDES, link.proven) == (True, False), "what is as large is not taken to be held"
    sign = thing("sign", "sign", 200, 200, 200, 100, masked=True)
    inside, beside = line("inside", "12", 280, 230), line("beside", "47", 400, 230)
    link = finder_of(sign, inside, beside).exits(sign)[inside.id]
    assert (link.rel, link.proven) == (Relation.INSIDE, True)


def test_a_text_is_quoted_up_to_a_length_and_without_quotes_of_its_own() -> None:
    texts = ["1", "12", "a" * 40, "b" * 41, 'say "no"']
    lines = [replace(text("1", 100, 100 + 100 * n), text=said) for n, said in enumerate(texts)]
    quoted = {link.phrase for link in finder_of(*lines).starts.values() if link.rel is Relation.NAMED}
    assert quoted == {'text "12"', f'text "{"a" * 40}"'}


def test_of_equally_good_words_the_plainest_are_taken() -> None:
    cars = [thing(one, "car", 300 * n, 300, 60, 60, colour=one) for n, one in enumerate(("red", "blue"))]
    assert [finder_of(*cars).starts[one.id][:2] for one in cars] == [
        ("red car", Relation.NAMED), ("blue car", Relation.NAMED),
    ]  # fmt: skip
    people = [replace(one, category="person") for one in cars]  # whose clothes are red or blue
    assert [finder_of(*people).starts[one.id][:2] for one in people] == [
        ("person", Relation.LEFT_OF), ("person", Relation.RIGHT_OF),
    ]  # fmt: skip


def test_words_that_clearly_mean_two_are_none_but_two_that_are_alike_may_be_meant() -> None:
    same = [thing(name, "car", 300, 300, 60, 60) for name in "ab"]
    starts = finder_of(*same).starts
    assert {(link.meant, link.proven) for link in starts.values()} == {(2, False)}
    assert Relation.NAMED not in {link.rel for link in starts.values()}


def test_of_texts_only_the_largest_is_told_by_size() -> None:
    sizes = [thing(f"t{n}", "text", 300 - 30 * n, 300 - 30 * n, 60 * n + 20, 60 * n + 20, text="7") for n in range(3)]
    links = finder_of(*sizes).starts.values()
    assert {(link.phrase, link.rel, link.target.id) for link in links if link.rel in EXTREMES} == {
        ("text", Relation.LARGEST, "t2")
    }
    cups = [replace(one, category="cup", text=None) for one in sizes]
    rels = {link.target.id: link.rel for link in finder_of(*cups).starts.values()}
    assert (rels["t0"], rels["t2"]) == (Relation.SMALLEST, Relation.LARGEST)
