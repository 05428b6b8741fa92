"""A verdict never contradicts what may be so, and confirms just what code can prove."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.execute import execute
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.query import EXTREMES, SIDES, Hop, Read, Relation, Value
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import Finding, HopVerdict, Verdict, judge_hop, same_thing
from support.hop_scenes import HEIGHT, WIDTH, disc, filled, line, price_list, scene, shaped, street, text, thing

CONFIRMED, OPEN, CONTRADICTED = Verdict.CONFIRMED, Verdict.OPEN, Verdict.CONTRADICTED
RELATIONS = (Relation.NAMED, Relation.NEAREST, Relation.OTHER, Relation.INSIDE, *sorted(SIDES), *sorted(EXTREMES))
DOG = thing("dog", "dog", 400, 300, 100, 100)


def kiosk() -> Scene:
    """Signs of several colours and shapes with lines of text on them, next to one another, and texts elsewhere."""
    return scene(
        shaped("s1", "sign", filled(100, 100, 200, 80), "red"),
        shaped("s2", "sign", filled(100, 300, 200, 80), "blue"),
        shaped("s3", "sign", disc(500, 150, 60), "green,yellow"),
        shaped("s4", "sign", filled(450, 300, 150, 80), "green"),
        line("l1", "12", 150, 130), line("l2", "Bread", 150, 330), line("l3", "35", 480, 140),
        line("l4", "2 for 1", 460, 310), line("l5", "Milk", 520, 350),
        line("t1", "Open", 700, 130), line("t2", "12", 700, 330), line("t3", "Bread", 800, 500),
    )  # fmt: skip


SCENES = [price_list(), kiosk(), *map(street, range(6))]


def judged(where: Scene, hop: Hop, *before: Hop, compared: Sequence[str] = ()) -> HopVerdict:
    return judge_hop(where, (*before, hop), len(before) + 1, compared)


def named(one: Instance) -> Hop:
    return Hop((one.id,), one.category, Relation.NAMED)


def proven(where: Scene, hops: Sequence[Hop]) -> tuple[tuple[str, ...], Value | None] | None:
    """What code proves that the last of ``hops`` finds and reads."""
    try:
        result = execute(where, hops, len(hops))
    except ValueError:
        return None
    return result.target, result.value


def hops_from(where: Scene, anchor: Instance, rel: Relation, read: Read | None) -> Iterator[Hop]:
    """Hops without target and value, from an anchor and without one."""
    nouns = {"word", "number", "red car", *(one.category for one in where.instances)}
    for category in sorted(nouns):
        yield Hop((), category, rel, "h1", read)
        if rel in SIDES | EXTREMES | {Relation.NAMED}:
            yield Hop((), category, rel, None, read)


@given(st.integers(0, len(SCENES) - 1), st.sampled_from(RELATIONS), st.sampled_from([None, *Read]), st.integers(0, 99))
def test_confirmed_is_just_what_code_proves(place: int, rel: Relation, read: Read | None, start: int) -> None:
    """So a swapped target is never confirmed, and a query of confirmed hops breaks no rule on the picture."""
    where = SCENES[place]
    anchor = where.instances[start % len(where.instances)]
    for hop in hops_from(where, anchor, rel, read):
        found = proven(where, (named(anchor), hop))
        counts = read is Read.COUNT
        targets = [found[0]] if counts and found else [(one.id,) for one in where.instances]
        for target in targets:
            for value in {found and found[1], Fraction(12), "Bread", "red", Fraction(1)} if read else {None}:
                verdict = judged(where, replace(hop, target=target, value=value), named(anchor)).verdict
                told = read is None or value is not None
                assert (verdict is CONFIRMED) == (told and found == (target, value)), (hop, target, value)


def test_much_is_confirmed_and_much_contradicted() -> None:
    """The property above would hold as well if nothing ever were."""
    verdicts = [
        judged(where, replace(hop, target=(one.id,)), named(where.instances[0])).verdict
        for where in SCENES
        for rel in RELATIONS
        for hop in hops_from(where, where.instances[0], rel, None)
        for one in where.instances
    ]
    assert {verdict: verdicts.count(verdict) > 100 for verdict in Verdict} == dict.fromkeys(Verdict, True)


@given(
    st.integers(0, 400),
    st.sampled_from([rel for rel in RELATIONS if rel is not Relation.INSIDE]),
    st.tuples(st.integers(0, 900), st.integers(0, 700), st.integers(10, 300), st.integers(10, 300)),
)
def test_an_uncertain_rival_never_contradicts(seed: int, rel: Relation, box: tuple[int, int, int, int]) -> None:
    """It may only be a shadow."""
    plain = street(seed)
    more = Scene((*plain.instances, thing("x", "car", *box, certain=False)), WIDTH, HEIGHT)
    start = named(plain.instances[0])
    for hop in hops_from(plain, plain.instances[0], rel, None):
        found = proven(plain, (start, hop))
        if found and plain.get(found[0][0]).category == "car":
            assert judged(more, replace(hop, target=found[0]), start).verdict is not CONTRADICTED
            shadow = judged(more, replace(hop, target=("x",)), start).verdict
            assert shadow is not CONFIRMED


def test_a_clearly_nearer_one_contradicts() -> None:
    near, far = thing("near", "car", 520, 320, 60, 60), thing("far", "car", 800, 320, 60, 60)
    hop = Hop(("far",), "car", Relation.NEAREST, "h1")
    found = judged(scene(DOG, near, far), hop, named(DOG))
    assert (found.verdict, found.target.reason) == (CONTRADICTED, "contradicted_target")
    assert found.detail == "near fits better"
    other = thing("other", "car", 300, 320, 60, 60)
    assert judged(scene(DOG, near, other, far), replace(hop, target=("other",)), named(DOG)).verdict is OPEN
    assert judged(scene(DOG, near, other, far), hop, named(DOG)).verdict is CONTRADICTED


def test_the_other_of_three_means_nothing() -> None:
    dogs = [thing(f"d{n}", "dog", 300 * n, 0, 50, 50) for n in range(3)]
    hop = Hop(("d1",), "dog", Relation.OTHER, "h1")
    assert judged(scene(*dogs[:2]), hop, named(dogs[0])).verdict is CONFIRMED
    found = judged(scene(*dogs), hop, named(dogs[0]))
    assert (found.verdict, found.target.reason) == (CONTRADICTED, "contradicted_reference")
    doubtful = replace(dogs[2], certain=False)
    assert judged(scene(*dogs[:2], doubtful), hop, named(dogs[0])).verdict is OPEN


def test_the_largest_of_one_means_nothing() -> None:
    found = judged(scene(DOG), Hop(("dog",), "dog", Relation.LARGEST))
    assert (found.verdict, found.target.reason) == (CONTRADICTED, "contradicted_reference")


@pytest.mark.parametrize(
    ("hop", "reason"),
    [
        (Hop(("dog",), "dog", Relation.NEAREST), "contradicted_reference"),  # of nothing
        (Hop(("dog",), "dog", Relation.NEAREST, "h7"), "contradicted_reference"),
        (Hop(("dog",), "dog", Relation.NEAREST_VALUE, "h1"), "contradicted_reference"),  # h1 reads no number
        (Hop(("dog",), "dog", Relation.NEAREST_VALUE), "contradicted_reference"),
        (Hop(("dog",), "dog", Relation.MATCHING, "h1"), "contradicted_reference"),
        (Hop(("dog",), "dog", Relation.MATCHING, "letters(h1)"), "contradicted_reference"),
        (Hop(("cat",), "dog", Relation.NAMED), "contradicted_target"),  # there is none
        (Hop(("car",), "dog", Relation.NEAREST, "h1", words="in the sun"), "contradicted_target"),
        (Hop(("car",), "dog", Relation.BEHIND, "h1"), "contradicted_target"),
        (Hop(("dog",), "poodle", Relation.BEHIND, "h1"), "contradicted_target"),  # starts from itself
        (Hop(("car",), "vehicle", Relation.LEFT_OF, "h1"), "contradicted_target"),  # is to the right of it
    ],
)
def test_what_cannot_be_meant(hop: Hop, reason: str) -> None:
    where = scene(DOG, thing("car", "car", 700, 320, 60, 60))
    found = judged(where, hop, named(DOG))
    assert (found.verdict, found.target.reason) == (CONTRADICTED, reason)


def test_an_anchor_that_is_not_there_is_named() -> None:
    found = judged(scene(DOG), Hop(("dog",), "dog", Relation.NEAREST, "h1"), Hop(("ghost",), "cat", Relation.NAMED))
    assert found.detail == "there is no 'ghost'"


@pytest.mark.parametrize(
    "hop",
    [
        Hop(("car",), "vehicle", Relation.NEAREST, "h1"),
        Hop(("car",), "car", Relation.NEAREST, "h1", words="in the background"),
        Hop(("car",), "car", Relation.BEHIND, "h1"),
        Hop(("dog", "car"), "dog", Relation.NAMED),  # a pair
        Hop(("dog",), "dog", Relation.NAMED, "h1", Read.PARTS, "legs", Fraction(4)),
    ],
)
def test_what_only_people_can_say_is_open(hop: Hop) -> None:
    where = scene(DOG, thing("car", "car", 700, 320, 60, 60))
    assert judged(where, hop, named(DOG)).verdict is OPEN


def test_words_narrow_but_are_believed() -> None:
    """The car in the sun need not be the nearest of all cars; it must still be a car, and on the side that is told."""
    near, far = thing("near", "car", 520, 320, 60, 60), thing("far", "car", 800, 320, 60, 60)
    where = scene(DOG, near, far)
    assert judged(where, Hop(("far",), "car", Relation.NEAREST, "h1", words="in the sun"), named(DOG)).verdict is OPEN
    wrong_side = Hop(("far",), "car", Relation.LEFT_OF, "h1", words="in the sun")
    assert judged(where, wrong_side, named(DOG)).verdict is CONTRADICTED
    count = Hop((), "car", Relation.RIGHT_OF, "h1", Read.COUNT, value=Fraction(1), words="in the sun")
    assert judged(where, count, named(DOG)).verdict is OPEN
    assert judged(where, replace(count, value=Fraction(3)), named(DOG)).verdict is CONTRADICTED


def test_two_names_for_one_thing_are_no_contradiction() -> None:
    puppet = thing("puppet", "puppet", 700, 320, 60, 60)
    doll = thing("doll", "doll", 702, 321, 60, 60, certain=False)
    where = scene(DOG, puppet, doll)
    hop = Hop(("puppet",), "doll", Relation.NEAREST, "h1")
    assert judged(where, hop, named(DOG)).verdict is OPEN
    assert judged(where, replace(hop, words="with the hat"), named(DOG)).verdict is OPEN
    count = Hop(("puppet",), "doll", Relation.NAMED, None, Read.COUNT, value=Fraction(1))
    assert judged(where, count).verdict is OPEN
    elsewhere = Hop(("dog",), "doll", Relation.NAMED, None, Read.COUNT, value=Fraction(1))
    assert judged(where, elsewhere).verdict is CONTRADICTED


CARS = [thing(f"c{n}", "car", 200 * n, 100, 60, 60, certain=n < 2) for n in range(4)]


@pytest.mark.parametrize(
    ("count", "verdict"), [(1, CONTRADICTED), (2, OPEN), (3, OPEN), (4, OPEN), (5, CONTRADICTED), (None, CONTRADICTED)]
)
def test_a_count_lies_between_the_certain_and_the_possible(count: int | None, verdict: Verdict) -> None:
    hop = Hop((), "car", Relation.NAMED, None, Read.COUNT, value=None if count is None else Fraction(count))
    found = judged(scene(*CARS), hop)
    assert found.verdict is verdict
    assert found.reading.reason == ("contradicted_reading" if verdict is CONTRADICTED else "")


@pytest.mark.parametrize(("count", "verdict"), [(1, CONTRADICTED), (2, CONFIRMED), (3, CONTRADICTED)])
def test_a_proven_count_is_exact(count: int, verdict: Verdict) -> None:
    hop = Hop((), "car", Relation.NAMED, None, Read.COUNT, value=Fraction(count))
    assert judged(scene(*CARS[:2]), hop).verdict is verdict


def test_a_count_that_lists_others_is_not_confirmed() -> None:
    hop = Hop(("c0",), "car", Relation.NAMED, None, Read.COUNT, value=Fraction(2))
    assert judged(scene(*CARS[:2]), hop).verdict is OPEN
    assert judged(scene(*CARS[:2], DOG), replace(hop, target=("c0", "dog"))).verdict is CONTRADICTED
    assert judged(scene(*CARS[:2]), replace(hop, target=("c0", "gone"))).verdict is CONTRADICTED


@pytest.mark.parametrize("rel", [Relation.BEHIND, Relation.NEAREST])
def test_what_cannot_be_counted_is_open(rel: Relation) -> None:
    hop = Hop(("c0",), "car", rel, "h1", Read.COUNT, value=Fraction(1))
    assert judged(scene(*CARS, DOG), hop, named(DOG)).verdict is OPEN


@pytest.mark.parametrize(
    ("colour", "colours", "value", "compared", "verdict"),
    [
        ("red", "red", "red", [], CONFIRMED),
        ("red", "red", "blue", [], CONTRADICTED),
        ("red", "red,orange", "red", [], CONFIRMED),
        ("red", "red,orange", "orange", [], OPEN),
        ("red", "red,orange", "red", ["orange"], OPEN),  # is it orange? one would say so, one not
        ("red", "red,orange", "red", ["blue"], CONFIRMED),
        (None, "red,orange", "red", [], OPEN),
        (None, "red,orange", "blue", [], CONTRADICTED),
        (None, "", "blue", [], OPEN),  # nobody measured it
        ("red", "red", "crimson", [], OPEN),
    ],
)
def test_colours(colour: str | None, colours: str, value: str, compared: list[str], verdict: Verdict) -> None:
    car = thing("c", "car", 0, 0, 90, 60, colour=colour, colours=colours)
    hop = Hop(("c",), "car", Relation.NAMED, None, Read.COLOUR, value=value)
    assert judged(scene(car), hop, compared=compared).verdict is verdict


@pytest.mark.parametrize(
    ("said", "value", "verdict"),
    [
        ("Bread", "bread ", CONFIRMED),
        ("Fresh bread", "bread", OPEN),
        ("8read", "bread", OPEN),  # OCR took B for 8
        ("Milk", "bread", CONTRADICTED),
        ("17", Fraction(17), CONFIRMED),
        ("17", Fraction(71), CONTRADICTED),
        ("2100k", Fraction(2100), CONFIRMED),
        ("12 %", Fraction(12), CONFIRMED),
        ("$4.50", Fraction("4.5"), CONFIRMED),
        ("1,250", Fraction(1250), CONFIRMED),
        ("1,250", Fraction(125), CONTRADICTED),
        ("3,5 kg", Fraction("3.5"), OPEN),
        ("Room 12", Fraction(12), OPEN),
        ("Room 12", Fraction(21), CONTRADICTED),
        ("Exit", Fraction(3), CONTRADICTED),
    ],
)
def test_texts_and_numbers(said: str, value: Value, verdict: Verdict) -> None:
    read = Read.NUMBER if isinstance(value, Fraction) else Read.TEXT
    one = text(said, 100, 100)
    assert judged(scene(one), Hop((one.id,), "text", Relation.NAMED, None, read, value=value)).verdict is verdict
    faint = replace(one, certain=False)
    assert judged(scene(faint), Hop((one.id,), "text", Relation.NAMED, None, read, value=value)).verdict is OPEN


@pytest.mark.parametrize(
    ("lines", "value", "verdict"),
    [
        ([("Bread", 150, 130)], "Bread", CONFIRMED),
        ([("Milk", 150, 130)], "Bread", CONTRADICTED),
        ([("Milk", 290, 130)], "Bread", OPEN),  # reaches beyond the sign
        ([], "Bread", OPEN),
        ([("Bread", 150, 110), ("Milk", 150, 140)], "Bread", OPEN),
    ],
)
def test_what_is_read_on_a_thing(lines: list[tuple[str, int, int]], value: str, verdict: Verdict) -> None:
    sign = shaped("sign", "sign", filled(100, 100, 200, 80))
    where = scene(sign, *(line(f"l{n}", *one) for n, one in enumerate(lines)), line("far", "Other", 800, 500))
    assert judged(where, Hop(("sign",), "sign", Relation.NAMED, None, Read.TEXT, value=value)).verdict is verdict


def test_what_kind_of_thing_it_is() -> None:
    where = scene(DOG, thing("car", "car", 700, 320, 60, 60))
    for value, verdict in (("dog", CONFIRMED), ("car", CONTRADICTED), ("poodle", OPEN)):
        assert judged(where, Hop(("dog",), "dog", Relation.NAMED, None, Read.CATEGORY, value=value)).verdict is verdict


@pytest.mark.parametrize(
    "hop",
    [
        Hop((), "dog", Relation.NAMED, None, Read.PRESENT, "snow", value=False),  # names no thing, and is no count
        Hop(("car",), "car", Relation.NAMED, "h1", words="in the background"),  # a second look, at another thing
        Hop(("dog",), "dog", Relation.NAMED, "h1", words="in the background"),  # a second look that reads nothing
    ],
)
def test_what_no_look_could_settle_is_contradicted(hop: Hop) -> None:
    where = scene(DOG, thing("car", "car", 700, 320, 60, 60))
    assert judged(where, hop, named(DOG)).verdict is CONTRADICTED


@pytest.mark.parametrize(("height", "same"), [(80, True), (79, False), (125, True), (126, False)])
def test_two_boxes_are_of_one_thing_if_they_share_four_fifths_of_what_both_cover(height: int, same: bool) -> None:
    one = thing("one", "puppet", 100, 100, 100, 100)
    assert same_thing(one, thing("other", "doll", 100, 100, 100, height)) is same


def test_a_second_look_may_be_at_the_same_thing_under_its_other_name() -> None:
    puppet, doll = thing("puppet", "puppet", 700, 320, 60, 60), thing("doll", "doll", 701, 320, 60, 60)
    look = Hop(("doll",), "doll", Relation.NAMED, "h1", Read.PARTS, "arms", Fraction(2), "with the hat")
    assert judged(scene(puppet, doll), look, named(puppet)).verdict is OPEN
    assert judged(scene(puppet, doll, DOG), look, named(DOG)).verdict is CONTRADICTED


@pytest.mark.parametrize(("words", "verdict"), [(None, CONTRADICTED), ("in the sun", OPEN)])
def test_directly_beside_needs_common_rows_unless_words_single_it_out(words: str | None, verdict: Verdict) -> None:
    where = scene(DOG, thing("car", "car", 700, 600, 60, 60))
    assert judged(where, Hop(("car",), "vehicle", Relation.RIGHT_OF, "h1", words=words), named(DOG)).verdict is verdict


def test_words_may_leave_nothing_to_count() -> None:
    count = Hop((), "car", Relation.NAMED, None, Read.COUNT, value=Fraction(0))
    assert judged(scene(*CARS[:2]), replace(count, words="in the sun")).verdict is OPEN
    assert judged(scene(*CARS[:2]), count).verdict is CONTRADICTED
    assert judged(scene(*CARS), replace(count, value=Fraction(-1), words="in the sun")).verdict is CONTRADICTED


def test_a_number_is_no_text_and_a_text_no_number() -> None:
    one = text("17", 100, 100)
    for read, value, verdict in (
        (Read.TEXT, "17", CONFIRMED),
        (Read.NUMBER, Fraction(17), CONFIRMED),
        (Read.TEXT, Fraction(17), OPEN),
        (Read.NUMBER, "17", OPEN),
    ):
        assert judged(scene(one), Hop((one.id,), "text", Relation.NAMED, None, read, value=value)).verdict is verdict


@pytest.mark.parametrize("certain", [True, False])
def test_the_colour_of_a_doubtful_thing_is_not_clear(certain: bool) -> None:
    car = thing("c", "car", 0, 0, 90, 60, colour="red", certain=certain)
    found = judged(scene(car), Hop(("c",), "car", Relation.NAMED, None, Read.COLOUR, value="red"))
    assert found.reading.verdict is found.target.verdict is found.verdict is (CONFIRMED if certain else OPEN)


def test_of_two_findings_the_worse_counts_and_both_are_told() -> None:
    findings = {verdict: Finding(verdict, f"is {verdict}") for verdict in Verdict}
    order = [CONFIRMED, OPEN, CONTRADICTED]
    for target in order:
        for reading in order:
            found = HopVerdict(findings[target], findings[reading])
            assert found.verdict is max(target, reading, key=order.index)
            assert found.detail == f"is {target}; is {reading}"
    assert HopVerdict(Finding(OPEN), findings[OPEN]).detail == "is open"


def test_a_kind_that_is_no_word_is_open() -> None:
    for value in (Fraction(3), True, None):
        hop = Hop(("dog",), "dog", Relation.NAMED, None, Read.CATEGORY, value=value)
        assert judged(scene(DOG), hop).verdict is OPEN
