"""The paper's two published examples, written in the query language, pass every check and give their answers.

docs/paper.md tells what they ask; where it is silent (what stands where), the scenes here are made up.
"""

from __future__ import annotations

from fractions import Fraction

from hopchain_etl.hops.checks import check
from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.expression import number_of, parse
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_from_row, hop_to_row
from hopchain_etl.hops.scene import Scene
from support.hop_scenes import HEIGHT, WIDTH, thing

TOYS = Scene(
    (
        thing("sheep", "sheep toy", 60, 300, 150, 150),
        thing("paper1", "paper", 90, 120, 120, 80),
        thing("doll1", "doll", 300, 330, 120, 160),
        thing("doll2", "doll", 700, 320, 120, 170),
        thing("paper2", "paper", 690, 560, 140, 90),
    ),
    WIDTH,
    HEIGHT,
)
SHEEP = Query(
    "Start at the sheep toy and count its eyes; that is A. Look at the paper behind it: with text on it, B is 5, "
    "else B is 10. Go on to the doll nearest to the sheep toy and count its eyes; that is C. Let D be the number "
    "of letters of the word on the paper in front of the other doll. Let E be how many toy figures there are in all. "
    "What is ((A + C) × D + B) × E?",
    (
        Hop(("sheep",), "sheep toy", Relation.NAMED, None, Read.PARTS, "eyes", Fraction(2)),
        Hop(("paper1",), "paper", Relation.BEHIND, "h1", Read.PRESENT, "text", value=False),
        Hop(("doll1",), "doll", Relation.NEAREST, "h1", Read.PARTS, "eyes", Fraction(0)),
        Hop(("doll2",), "doll", Relation.OTHER, "h3"),
        Hop(("paper2",), "paper", Relation.IN_FRONT_OF, "h4", Read.TEXT, value="welcome"),
        Hop(("sheep", "doll1", "doll2"), "toy figure", Relation.NAMED, None, Read.COUNT, value=Fraction(3)),
    ),
    "((h1+h3)*letters(h5)+if(h2,5,10))*h6",
    Fraction(72),
    ("sheep", "paper1", "doll1", "doll2", "paper2"),
)

INFOGRAPHIC = Scene(
    (
        thing("heading", "heading", 60, 40, 300, 50, text="and/either"),
        thing("slice6", "donut slice", 120, 200, 60, 60, colour="red", colours="red", text="6%"),
        thing("slice32", "donut slice", 190, 200, 90, 60, colour="blue", colours="blue", text="32%"),
        thing("slice62", "donut slice", 120, 270, 160, 110, colour="green", colours="green", text="62%"),
        thing("book1", "book", 40, 450, 90, 120, colour="red", colours="red"),
        thing("book2", "book", 530, 60, 90, 120, colour="blue", colours="blue"),
        thing("building1", "building", 160, 620, 80, 140, colour="red", colours="red", text="16%"),
        thing("building2", "building", 330, 330, 80, 140, colour="grey", colours="grey", text="41%"),
        thing("section1", "section", 300, 640, 120, 90, text="18%"),
        thing("section2", "section", 30, 330, 80, 90, text="57%"),
    ),
    WIDTH,
    HEIGHT,
)
DONUT = Query(
    "Count the letters after the slash in the heading; that is A. Which colour has the slice of the donut that stands "
    "for so many per cent? If the cover of the book nearest to that slice does not have the same colour, the answer is "
    "0. Otherwise take the percentage on the building nearest to that book and add that of the section nearest to the "
    "building. Find the slice whose percentage comes closest to the sum, and subtract A from it. What is left?",
    (
        Hop(("heading",), "heading", Relation.NAMED, None, Read.PARTS, "letters after the slash", Fraction(6)),
        Hop(("slice6",), "donut slice", Relation.NEAREST_VALUE, "h1", Read.COLOUR, value="red"),
        Hop(("book1",), "book", Relation.NEAREST, "h2", Read.COLOUR, value="red"),
        Hop(("building1",), "building", Relation.NEAREST, "h3", Read.NUMBER, value=Fraction(16)),
        Hop(("section1",), "section", Relation.NEAREST, "h4", Read.NUMBER, value=Fraction(18)),
        Hop(("slice32",), "donut slice", Relation.NEAREST_VALUE, "h4+h5", Read.NUMBER, value=Fraction(32)),
    ),
    "if(h3==h2,h6-h1,0)",
    Fraction(26),
    ("heading", "slice6", "book1", "building1", "section1", "slice32"),
)


def test_the_sheep_and_the_dolls() -> None:
    complaints, unchecked = check(SHEEP, TOYS)
    assert complaints == []
    assert unchecked == 5 / 6  # eyes, what is behind and what it says take a person; the other doll does not


def test_the_infographic() -> None:
    complaints, unchecked = check(DONUT, INFOGRAPHIC)
    assert complaints == []
    assert unchecked == 1 / 6  # the slash


def test_their_arithmetic_is_the_papers() -> None:
    for query, answer in ((SHEEP, 72), (DONUT, 26)):
        assert number_of(parse(query.expr), query.values) == answer == query.answer
        assert all(hop_from_row(hop_to_row(hop), number) == hop for number, hop in query.numbered())
    assert number_of(parse(DONUT.expr), {**DONUT.values, 3: "blue"}) == 0  # the gate shuts


def test_both_are_chains_with_both_kinds_of_hop() -> None:
    assert SHEEP.instance_links >= 3
    assert DONUT.instance_links >= 3
    assert SHEEP.perception_switches >= 2
    assert DONUT.perception_switches >= 2


def test_every_look_of_them_matters() -> None:
    assert build_context(DONUT, INFOGRAPHIC).coverage >= 0.9
    assert build_context(SHEEP, TOYS).coverage >= 0.9
