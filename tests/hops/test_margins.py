"""The margins of the geometry at their limits: one pixel more or less tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hopchain_etl.hops.geometry import hangs_evenly, holds, inside, is_jumped_over
from hopchain_etl.hops.instance import Instance, TruthValue
from hopchain_etl.hops.query import Relation
from support.hop_scenes import filled, finds, scene, shaped, thing

YES, NO, UNCLEAR = TruthValue.YES, TruthValue.NO, TruthValue.UNCLEAR
SLACK = 10.0


def turned(one: Instance) -> Instance:
    """The same with its rows and columns exchanged."""
    x1, y1, x2, y2 = one.box
    return replace(one, box=(y1, x1, y2, x2))


@pytest.mark.parametrize(
    ("left", "width", "evenly"),
    [
        (315, 50, True),  # its middle at a fifth of the board's width
        (314, 50, False),
        (435, 50, True),  # and at four fifths
        (436, 50, False),
        (305, 50, True),  # begins with the board, but for a tenth of its own width
        (306, 50, False),
        (295, 50, True),
        (294, 50, False),
        (250, 300, True),  # a wider one, of which the board is in the middle
        (150, 500, True),
    ],
)
def test_what_hangs_evenly_hangs_from_the_middle_or_begins_with_the_other(left: int, width: int, evenly: bool) -> None:
    board, below = thing("board", "board", 300, 100, 200, 100), thing("cat", "cat", left, 300, width, 50)
    assert hangs_evenly(below, board, Relation.BELOW) is evenly
    assert hangs_evenly(board, below, Relation.ABOVE) is evenly
    assert not hangs_evenly(below, board, Relation.ABOVE)


@pytest.mark.parametrize(
    ("top", "height", "evenly"),
    [
        (300, 50, False),  # begins at the top of the board: rows of things stand on the ground
        (455, 50, True),
        (456, 50, False),
        (445, 50, True),
        (444, 50, False),
        (315, 50, True),
        (314, 50, False),
    ],
)
def test_in_a_row_things_stand_on_one_line(top: int, height: int, evenly: bool) -> None:
    board, beside = thing("board", "board", 100, 300, 100, 200), thing("cat", "cat", 400, top, 50, height)
    assert hangs_evenly(beside, board, Relation.RIGHT_OF) is evenly
    assert hangs_evenly(board, beside, Relation.LEFT_OF) is evenly


@pytest.mark.parametrize(("push", "evenly"), [(25, True), (26, False), (-25, True), (-26, False)])
def test_what_is_in_line_shares_three_quarters(push: int, evenly: bool) -> None:
    one, other = thing("one", "car", 300, 100, 100, 100), thing("other", "car", 300 + push, 400, 100, 100)
    assert hangs_evenly(other, one, Relation.BELOW) is evenly
    assert hangs_evenly(turned(other), turned(one), Relation.RIGHT_OF) is evenly


@pytest.mark.parametrize(("left", "in_the_way"), [(184, False), (185, True), (395, True), (396, False)])
def test_a_part_is_four_fifths_within(left: int, in_the_way: bool) -> None:
    cup, dog = thing("cup", "cup", 100, 300, 100, 100), thing("dog", "dog", 400, 300, 100, 100)
    label = thing("label", "label", left, 340, 20, 20)
    assert is_jumped_over(label, cup, dog, Relation.LEFT_OF) is in_the_way
    assert is_jumped_over(turned(label), turned(cup), turned(dog), Relation.ABOVE) is in_the_way


@pytest.mark.parametrize(("lead", "found"), [(50, "first"), (49, None)])
@pytest.mark.parametrize("rel", [Relation.RIGHT_OF, Relation.LEFT_OF, Relation.BELOW, Relation.ABOVE])
def test_the_outermost_leads_by_a_quarter_of_the_shorter_one(rel: Relation, lead: int, found: str | None) -> None:
    lead = lead if rel in (Relation.RIGHT_OF, Relation.BELOW) else -lead
    bars = [thing("first", "bar", 300 + lead, 100, 200, 60), thing("second", "bar", 300, 300, 200, 60)]
    if rel in (Relation.ABOVE, Relation.BELOW):
        bars = [turned(one) for one in bars]
    assert finds(scene(*bars), "bar", rel) == found


@pytest.mark.parametrize(
    ("x", "y", "on", "within"),
    [
        (340, 300, UNCLEAR, UNCLEAR),  # 40 px from the table, four times the slack
        (341, 300, NO, NO),
        (100, 220, UNCLEAR, UNCLEAR),
        (100, 219, NO, NO),
        (100, 400, UNCLEAR, UNCLEAR),
        (100, 401, NO, UNCLEAR),  # begins below the table's end, so that it is not on it
    ],
)
def test_what_is_clearly_apart_from_a_thing_is_not_on_it_or_in_it(
    x: int, y: int, on: TruthValue, within: TruthValue
) -> None:
    table, cup = thing("table", "table", 100, 300, 200, 100), thing("cup", "cup", x, y, 40, 40)
    assert holds(Relation.ON, cup, table, SLACK) is on
    assert holds(Relation.IN, cup, table, SLACK) is within


@pytest.mark.parametrize(("width", "truth"), [(32, YES), (31, UNCLEAR)])
def test_what_stands_on_a_thing_has_it_below_four_fifths_of_its_width(width: int, truth: TruthValue) -> None:
    cup, table = shaped("cup", "cup", filled(300, 260, 40, 40)), shaped("t", "table", filled(300, 300, width, 100))
    assert holds(Relation.ON, cup, table, SLACK) is truth
    assert holds(Relation.IN, cup, table, SLACK) is UNCLEAR
    assert holds(Relation.ON, replace(cup, mask={}), table, SLACK) is UNCLEAR
    assert holds(Relation.ON, cup, replace(table, mask={}), SLACK) is UNCLEAR


@pytest.mark.parametrize(("width", "truth"), [(80, YES), (79, UNCLEAR), (6, UNCLEAR), (5, NO)])
def test_a_text_is_printed_on_what_is_behind_four_fifths_of_it(width: int, truth: TruthValue) -> None:
    """And it is not if a twentieth is behind it: a bus whose box holds the text, but whose mask ends there."""
    said = thing("said", "text", 300, 300, 100, 20, text="SALE", masked=True)
    bus = shaped("bus", "bus", filled(width, 200, 300, 200) | filled(280, 380, 300, 100))
    assert inside(said, bus) is truth
    assert inside(replace(said, mask={}), bus) is inside(said, replace(bus, mask={})) is UNCLEAR
    assert holds(Relation.INSIDE, said, bus, SLACK) is truth
