"""Reasoning in words: every step ends with what it reads, every operation is right, and the last one is the answer."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.hops.describe import describe_value
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Hop, Query, Read, Relation, Value
from hopchain_etl.hops.reasoning import reasoning, step
from hopchain_etl.hops.steps import first_steps
from hopchain_etl.hops.variants import VARIANTS, variant
from support.read_scenes import some_scenes

NUMBER = r"\(?(-?\d+(?:\.\d+)?(?:/\d+)?)\)?"
OPERATION = re.compile(rf"{NUMBER} ([-+×÷]) {NUMBER} = (-?\d+(?:\.\d+)?(?:/\d+)?)")
CHOICE = re.compile(r".*, so take (?:the (?:first|second) choice|(-?\d+(?:\.\d+)?(?:/\d+)?))\.")
COMPARISON = re.compile(
    rf"{NUMBER} (is less than|is at most|is greater than|is at least|equals|is different from) {NUMBER},"
)
LETTERS = re.compile(r'"(.*)" has (\d+) letters?\.')
STEP = re.compile(r"Step (\d+): (.*)\.")
HOLDS = {
    "is less than": Fraction.__lt__, "is at most": Fraction.__le__, "is greater than": Fraction.__gt__,
    "is at least": Fraction.__ge__, "equals": Fraction.__eq__, "is different from": Fraction.__ne__,
}  # fmt: skip
COMPUTE = {"+": Fraction.__add__, "-": Fraction.__sub__, "×": Fraction.__mul__, "÷": Fraction.__truediv__}


def recomputed(lines: list[str]) -> Fraction | None:
    """What the lines after the steps come to, each checked by its own numbers; None if there is nothing but steps."""
    result = None
    for line in lines:
        if found := OPERATION.fullmatch(line):
            left, sign, right, result = Fraction(found[1]), found[2], Fraction(found[3]), Fraction(found[4])
            assert COMPUTE[sign](left, right) == result, line
        elif found := LETTERS.fullmatch(line):
            result = Fraction(found[2])
            assert result == sum(map(str.isalpha, found[1]))
        else:
            choice = CHOICE.fullmatch(line)
            assert choice, line
            if compared := COMPARISON.match(line):
                assert HOLDS[compared[2]](Fraction(compared[1]), Fraction(compared[3])), line
            result = Fraction(choice[1]) if choice[1] else None
    return result


def check(query: Query, answer: Fraction) -> None:
    """Assert that a query's reasoning states each hop in order and comes to the answer."""
    lines = reasoning(query)
    steps, rest = lines[: len(query.hops)], lines[len(query.hops) :]
    for number, (hop, line) in enumerate(zip(query.hops, steps, strict=True), 1):
        found = STEP.fullmatch(line)
        assert found, line
        assert int(found[1]) == number
        value = describe_value(hop)
        if value is None:
            assert found[2].startswith("find ")
        else:
            assert found[2].endswith(f" {' '.join(value.split())}")
    came_to = recomputed(rest)
    if came_to is None:  # a reading, or a number, is the answer as it stands
        assert answer == number_of(parse(query.expr), query.values)
    else:
        assert came_to == answer


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("h2", "nearest to the dog of step 2."),
        ("h3", "nearest to step 3."),
        ("letters(h2)", 'nearest to the number of letters in "Rex" (step 2).'),
        ("letters(h3)", "nearest to the number of letters in step 3."),
        ("h2+h3", 'nearest to the sum of "Rex" (step 2) and step 3.'),
    ],
)
def test_a_program_that_is_not_checked_yet_may_refer_to_a_later_step_or_to_none(to: str, said: str) -> None:
    hops = (Hop(("a",), "cup", Relation.NEAREST, to), Hop(("b",), "dog", Relation.NAMED, None, Read.TEXT, value="Rex"))
    assert step(hops, 1).endswith(said)


def test_questions_about_drawn_scenes_are_reasoned_to_their_answers() -> None:
    checked = variants = 0
    for _, seed, scene in some_scenes(5):
        for query in write_queries(scene, 2, seed):
            check(query, query.answer)
            assert recomputed(reasoning(query)[len(query.hops) :]) == query.answer
            checked += 1
            for kind in VARIANTS:
                if part := variant(kind, query, scene, first_steps(scene)):
                    check(part, part.answer)
                    variants += 1
    assert checked > 30
    assert variants > 20


READINGS: dict[int, Value] = {1: Fraction(7), 2: True, 3: "Fresh\nFish 2", 4: Fraction(-1, 2), 5: "red", 6: Fraction(3)}
HOPS = (
    Hop(("a",), "car", Relation.LEFT_OF, None, Read.NUMBER, None, READINGS[1]),
    Hop(("b",), "dog", Relation.NEAREST, "h1", Read.PRESENT, "a hat", READINGS[2]),
    Hop(("c",), "text", Relation.NEAREST, "h2", Read.TEXT, None, READINGS[3]),
    Hop(("d",), "number", Relation.NEAREST_VALUE, "h1+h6", Read.NUMBER, None, READINGS[4]),
    Hop(("a",), "car", Relation.NAMED, "h1", Read.COLOUR, None, READINGS[5]),
    Hop(("e", "f", "g"), "cup", Relation.ABOVE, "h2", Read.COUNT, None, READINGS[6]),
)
TERMS = st.recursive(
    st.sampled_from(["h1", "h4", "h6", "2", "0.5", "letters(h3)", "letters(h5)"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("({0[0]}{0[1]}{0[2]})".format)
        | inner.map("-({})".format)
        | st.tuples(inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner, inner, inner).map(
            "if({0[0]}{0[1]}{0[2]},{0[3]},{0[4]})".format
        )
        | st.tuples(st.sampled_from(["h2", 'h5=="red"', "h3!=h5", "h2==(h1>3)"]), inner, inner).map(
            "if({0[0]},{0[1]},{0[2]})".format
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(TERMS)
def test_any_expression_is_worked_out_line_by_line(expr: str) -> None:
    try:
        answer = number_of(parse(expr), READINGS)
    except ExpressionError:
        with pytest.raises(ExpressionError):
            reasoning(Query("", HOPS, expr, Fraction(0)))
        return
    check(Query("", HOPS, expr, answer), answer)


@pytest.mark.parametrize(
    ("hop", "line"),
    [
        (Hop((), "cup", Relation.NAMED, None, Read.COUNT, None, Fraction(3)),
         "the number of cups in the whole picture is 3"),
        (Hop(("a",), "cup", Relation.LEFT_OF, "h1"), "find the cup directly to the left of the car of step 1"),
        (Hop(("a",), "cup", Relation.LEFT_OF), "find the leftmost cup"),
        (HOPS[1], "whether a hat can be seen on the dog nearest to the car of step 1: yes"),
        (HOPS[2], 'the text nearest to the dog of step 2 says "Fresh Fish 2"'),
        (HOPS[3], "the number whose value comes closest to the sum of 7 (step 1) and 3 (step 6) is -0.5"),
        (HOPS[4], "the car of step 1 is mainly red"),
        (Hop(("a",), "cup", Relation.MATCHING, "h5", Read.PARTS, "handles", Fraction(1)),
         "the cup that shows the same as the car of step 5 shows this many handles: 1"),
        (Hop(("a",), "number", Relation.NEAREST_VALUE, "letters(h3)", Read.NUMBER, None, Fraction(9)),
         'the number whose value comes closest to the number of letters in "Fresh Fish 2" (step 3) is 9'),
        (Hop(("a",), "number", Relation.NEAREST_VALUE, "12"), "find the number whose value comes closest to 12"),
        (Hop(("a",), "bus", Relation.LARGEST, None, Read.NUMBER, None, Fraction(42)),
         "the number written on the largest bus is 42"),
        (Hop(("a",), "bus", Relation.ON, "h9", Read.SHAPE, None, "round"), "the shape of the bus on step 9 is round"),
        (Hop(("a",), "sign", Relation.NAMED, None, Read.TEXT, None, "STOP"), 'what is written on the sign says "STOP"'),
        (Hop(("a",), "thing", Relation.NAMED, None, Read.CATEGORY, None, "cup"), "what the thing is: cup"),
    ],
)  # fmt: skip
def test_steps_in_words(hop: Hop, line: str) -> None:
    assert step((*HOPS, hop), 7) == f"Step 7: {line}."


def test_every_relation_and_reading_has_words() -> None:
    for rel in Relation:
        for read in Read:
            said = step((HOPS[0], Hop(("b",), "cup", rel, "h1", read, "handles", "3")), 2)
            assert re.fullmatch(r'Step 2: .*cups?\b.* "?3"?\.', said) or rel is Relation.NAMED


def test_a_program_without_readings_has_no_reasoning() -> None:
    with pytest.raises(ExpressionError):
        reasoning(Query("", tuple(hop.without_reading() for hop in HOPS), "h1+h6", Fraction(10)))


@pytest.mark.parametrize("expr", ["h5", "h2", "if(h2,h5,1)"])
def test_what_is_no_number_has_no_reasoning(expr: str) -> None:
    with pytest.raises(ExpressionError):
        reasoning(Query("", HOPS, expr, Fraction(1)))


@pytest.mark.parametrize("expr", ["if(h2,1,2)", "9^9^9", "h2*1e400"])
def test_what_has_no_value_has_no_reasoning(expr: str) -> None:
    hops = (HOPS[0], Hop(("b",), "cup", Relation.NEAREST, "h1", Read.COUNT, None, Fraction(3)))
    with pytest.raises(ExpressionError):
        reasoning(Query("", hops, expr, Fraction(1)))


def test_a_choice_of_a_plain_number_ends_with_it_and_another_is_worked_out_after_it() -> None:
    hops = (HOPS[0], Hop(("b",), "cup", Relation.NEAREST, "h1", Read.COUNT, None, Fraction(3)))
    assert reasoning(Query("", hops, "if(h2>2,5,h2)", Fraction(5)))[2:] == ["3 is greater than 2, so take 5."]
    assert reasoning(Query("", hops, "if(h2>3,5,h2+1)", Fraction(4)))[2:] == [
        "3 is at most 3, so take the second choice.",
        "3 + 1 = 4",
    ]


@pytest.mark.parametrize(
    ("expr", "lines"),
    [
        ("h1+2", ["7 + 2 = 9"]),
        ("2-h4", ["2 - (-0.5) = 2.5"]),
        ("-h1", ["0 - 7 = -7"]),
        ("h6*(1/h1)", ["1 ÷ 7 = 1/7", "3 × (1/7) = 3/7"]),
        ("letters(h5)", ['"red" has 3 letters.']),
        ("letters(h7)", ['"A 1" has 1 letter.']),
        ("if(h2,1,2)", ["step 2 is yes, so take 1."]),
        ("if(h2==(h1>7),1,h6)", ["yes is different from no, so take 3."]),
        ("if(h1>5,2,3)+h6", ["7 is greater than 5, so take 2.", "2 + 3 = 5"]),
        ("-letters(h7)*h6", ['"A 1" has 1 letter.', "0 - 1 = -1", "(-1) × 3 = -3"]),
        ('if(h5!="blue",1,2)', ['"red" is different from "blue", so take 1.']),
    ],
)
def test_what_the_lines_of_working_say(expr: str, lines: list[str]) -> None:
    hops = (*HOPS, Hop(("h",), "text", Relation.NAMED, None, Read.TEXT, value="A 1"))
    assert reasoning(Query("", hops, expr, Fraction(0)))[len(hops) :] == lines


def test_a_step_on_the_way_of_many_hundred_digits_is_not_written_down() -> None:
    huge = Hop(("a",), "number", Relation.NAMED, None, Read.NUMBER, value=Fraction(10**300))
    assert len(reasoning(Query("", (huge,), "h1/h1", Fraction(1)))) == 2
    with pytest.raises(ExpressionError):
        reasoning(Query("", (huge,), "h1" + "*h1" * 8 + "/h1" * 9, Fraction(1)))
