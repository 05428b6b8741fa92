"""A hop on a scene: what it finds and reads, what is ambiguous, and what code leaves to others."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hopchain_etl.hops.execute import HopResult, NotExecutableError, execute, read_value, value_sought
from hopchain_etl.hops.instance import AmbiguousError
from hopchain_etl.hops.query import Hop, Read, Relation, Value
from support.hop_scenes import line, scene, text, thing

BUSES = [thing(f"bus{n}", "bus", 300 * n, 100, 250, 100, colour=c, masked=True) for n, c in enumerate(("red", None))]
LINES = [line("one", "47", 100, 140), line("two", "Harbour", 350, 120), line("three", "x", 350, 160)]
HAT, CUP = thing("hat", "hat", 800, 300, 40, 40, colour="blue"), thing("cup", "cup", 700, 300, 40, 40, colour="blue")
FIGS, NINE, TWELVE = text("Figs", 100, 500), text("9", 100, 600), text("12", 500, 600)
CAPITALS, FOUR = text("FIGS", 500, 700), text("4", 800, 700)
PLACE = scene(*BUSES, *LINES, HAT, CUP, FIGS, NINE, TWELVE, CAPITALS, FOUR)
BEFORE = (
    Hop(("bus0",), "bus", Relation.LEFT_OF, None, Read.NUMBER, value=Fraction(47)),
    Hop((FIGS.id,), 'text "Figs"', Relation.NAMED, None, Read.TEXT, value="Figs"),
    Hop(("bus0", "bus1"), "bus", Relation.NAMED, None, Read.COUNT, value=Fraction(2)),
    Hop(("cup",), "cup", Relation.NAMED, None, Read.SHAPE, value="round"),
    Hop(("cup",), "cup", Relation.NAMED, None, Read.COLOUR, value="red"),
    Hop(("cup",), "cup", Relation.NAMED),
    Hop(("hat",), "hat", Relation.NAMED, None, Read.COLOUR, value="blue"),
)


def run(hop: Hop) -> HopResult | type[Exception]:
    """What a hop after those of BEFORE finds, or why it does not."""
    try:
        return execute(PLACE, (*BEFORE, hop), len(BEFORE) + 1)
    except (AmbiguousError, NotExecutableError) as error:
        return type(error)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (None, None),
        (Read.NUMBER, Fraction(47)),
        (Read.TEXT, "47"),
        (Read.COLOUR, "red"),
        (Read.CATEGORY, "bus"),
        (Read.COUNT, None),
        (Read.SHAPE, None),
        (Read.PARTS, None),
    ],
)
def test_what_code_reads_from_a_thing(read: Read | None, value: Value | None) -> None:
    assert read_value(PLACE, BUSES[0], read) == value


@pytest.mark.parametrize(
    ("thing_read", "read", "error"),
    [
        (BUSES[1], Read.COLOUR, AmbiguousError),  # it has no clear one
        (BUSES[1], Read.TEXT, NotExecutableError),  # two lines
        (CUP, Read.TEXT, NotExecutableError),  # none
        (FIGS, Read.NUMBER, AmbiguousError),
    ],
)
def test_what_code_cannot_read_is_unclear_or_for_people(thing_read: object, read: Read, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_value(PLACE, thing_read, read)  # type: ignore[arg-type]


def test_a_line_that_may_be_beside_a_thing_is_for_people() -> None:
    sign = thing("sign", "sign", 100, 100, 200, 100, masked=True)
    unsure = line("unsure", "12", 150, 140, certain=False)
    with pytest.raises(NotExecutableError):
        read_value(scene(sign, unsure), sign, Read.NUMBER)


@pytest.mark.parametrize(
    ("hop", "found"),
    [
        (Hop((), "bus", Relation.NAMED, None, Read.COUNT), HopResult(("bus0", "bus1"), Fraction(2))),
        (Hop((), "cup", Relation.RIGHT_OF, "h1", Read.COUNT), HopResult(("cup",), Fraction(1))),
        (Hop((), "bus", Relation.LEFT_OF), HopResult(("bus0",), None)),
        (Hop((), "bus", Relation.NEAREST, "h6", Read.COLOUR), AmbiguousError),
        (Hop((), "bus", Relation.OTHER, "h1"), HopResult(("bus1",), None)),
        (Hop((), "bus", Relation.BEHIND, "h1"), NotExecutableError),
        (Hop((), "tram", Relation.NAMED), NotExecutableError),
        (Hop((), "cup", Relation.NAMED, words="on the kerb"), NotExecutableError),
        # From nothing, from several things and from none that is one thing.
        (Hop((), "bus", Relation.NEAREST), AmbiguousError),
        (Hop((), "bus", Relation.OTHER, "the first"), AmbiguousError),
        (Hop((), "cup", Relation.NAMED, "12"), HopResult(("cup",), None)),
        (Hop((), "cup", Relation.NEAREST, "h1+h2"), AmbiguousError),
        (Hop((), "cup", Relation.NEAREST, "h3"), AmbiguousError),
        # By value: a plain number, the count of two buses, a sum, the letters of a word, and what is none.
        (Hop((), "number", Relation.NEAREST_VALUE, "10"), HopResult((NINE.id,), None)),
        (Hop((), "number", Relation.NEAREST_VALUE, "h3"), HopResult((FOUR.id,), None)),
        (Hop((), "number", Relation.NEAREST_VALUE, "h1+h3", Read.NUMBER), HopResult(("one",), Fraction(47))),
        (Hop((), "number", Relation.NEAREST_VALUE, "letters(h2)"), HopResult((FOUR.id,), None)),
        (Hop((), "number", Relation.NEAREST_VALUE, "letters(h1)"), AmbiguousError),
        (Hop((), "number", Relation.NEAREST_VALUE, "h2"), AmbiguousError),
        (Hop((), "number", Relation.NEAREST_VALUE, "h2+h3"), AmbiguousError),
        (Hop((), "number", Relation.NEAREST_VALUE), AmbiguousError),
        (Hop((), "number", Relation.NEAREST_VALUE, "ten"), AmbiguousError),
        (Hop((), "bus", Relation.MATCHING, "h5"), AmbiguousError),  # the second has no clear colour
        (Hop((), "cup", Relation.MATCHING, "h5"), AmbiguousError),  # blue, not red
        (Hop((), "bus", Relation.MATCHING, "h4"), NotExecutableError),  # code sees no shapes
        (Hop((), "number", Relation.MATCHING, "12"), HopResult((TWELVE.id,), None)),
        (Hop((), "number", Relation.MATCHING, "letters(h2)"), HopResult((FOUR.id,), None)),
        (Hop((), "text", Relation.MATCHING, "h2"), HopResult((CAPITALS.id,), None)),
        (Hop((), "cup", Relation.MATCHING, "h7", Read.COLOUR), HopResult(("cup",), "blue")),
        (Hop((), "bus", Relation.MATCHING, "h6"), AmbiguousError),  # which reads nothing
        (Hop((), "number", Relation.MATCHING, "h1+h3"), AmbiguousError),  # of several things
    ],
    ids=lambda one: f"{one.category} {one.rel} {one.to}" if isinstance(one, Hop) else "",
)
def test_what_a_hop_finds(hop: Hop, found: HopResult | type[Exception]) -> None:
    assert run(hop) == found


@pytest.mark.parametrize(
    ("rel", "to", "value"),
    [
        (Relation.NEAREST_VALUE, "12.5", Fraction(25, 2)),
        (Relation.NEAREST_VALUE, "h1", Fraction(47)),
        (Relation.NEAREST_VALUE, "h1+h3", Fraction(49)),
        (Relation.NEAREST_VALUE, "letters(h2)", Fraction(4)),
        (Relation.MATCHING, "12", Fraction(12)),
        (Relation.MATCHING, "h2", "Figs"),
        (Relation.MATCHING, "letters(h2)", Fraction(4)),
        (Relation.MATCHING, "h1+h3", Fraction(49)),
    ],
)
def test_the_value_by_which_something_is_found(rel: Relation, to: str, value: Value) -> None:
    assert value_sought(BEFORE, Hop((), "number", rel, to)) == value
