"""A wrong answer names the hop that went wrong, where it gives that away; what the model wrote decides between hops."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.slips import attempts
from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.perturb import Cause
from hopchain_etl.evaluation.errors.slips import EQUAL, Slips, likeliest_slip, slip
from hopchain_etl.hops.query import Hop, Read, Relation, hop_to_row
from support.hop_scenes import HEIGHT, WIDTH, line, thing

# A row of words and numbers, jars above it: garden 34 / oak 71 / window 158
INSTANCES = [
    line("w1", "garden", 100, 300), line("n1", "34", 300, 300), line("w2", "oak", 100, 500), line("n2", "71", 300, 500),
    line("w3", "window", 100, 700), line("n3", "158", 300, 700),
    *(thing(f"j{n}", "jar", 100 + 200 * n, 50, 60, 80, colour="blue") for n in range(4)),
]  # fmt: skip
HOPS = (
    Hop(("w1",), 'word "garden"', Relation.NAMED, None, Read.TEXT, value="garden"),
    Hop(("n1",), "number", Relation.RIGHT_OF, "h1", Read.NUMBER, value=Fraction(34)),
    Hop(("n2",), "number", Relation.BELOW, "h2", Read.NUMBER, value=Fraction(71)),
    Hop(("j0",), "jar", Relation.LEFT_OF, None, Read.COLOUR, value="blue"),
    Hop(("j0", "j1", "j2", "j3"), "jar", Relation.NAMED, None, Read.COUNT, value=Fraction(4)),
)
EXPR = '(letters(h1)+h2+h3-if(h4=="red",2,11))*h5'
RIGHT = (6 + 34 + 71 - 11) * 4


SLIPS = Slips()  # keeps what it has found of the row


def row(**changes: Any) -> dict[str, Any]:
    instances = [
        {
            "instance_id": one.id, "category": one.category, "box": list(one.box), "area": one.area, "certain": True,
            "text": one.text, "mask": one.mask or None, "attributes": [("colour", one.colour)] if one.colour else [],
        }
        for one in INSTANCES
    ]  # fmt: skip
    hops = [hop_to_row(hop) for hop in HOPS]
    asked = {"query_id": "q", "question": "?", "hops": hops, "expr": EXPR, "answer": str(RIGHT)}
    return {**asked, "instances": instances, "width": WIDTH, "height": HEIGHT, **changes}


@pytest.mark.parametrize(
    ("answer", "hop", "kind"),
    [
        ((7 + 34 + 71 - 11) * 4, 1, ErrorKind.COUNTING),  # a letter too many
        ((6 + 39 + 71 - 11) * 4, 2, ErrorKind.TEXT),  # a digit that looks alike; the hop below it stays where it is
        ((6 + 71 + 158 - 11) * 4, 2, ErrorKind.LOCATING),  # the row below: the next hop goes on from there
        ((6 + 34 + 158 - 11) * 4, 3, ErrorKind.LOCATING),
        ((6 + 34 + 71 - 2) * 4, 4, ErrorKind.CONDITION),
        ((6 + 34 + 71 - 11) * 5, 5, ErrorKind.COUNTING),
        (6 + 34 + 71 - 11 * 4, 5, ErrorKind.ORDER),  # as if there were no parentheses
        ((6 + 34 + 71) * 4, 4, ErrorKind.ARITHMETIC),  # a term is left out
        ((6 + 34 + 71 + 11) * 4, 4, ErrorKind.ARITHMETIC),  # the wrong sign
    ],
)
def test_one_hop_gone_wrong_is_named(answer: int, hop: int, kind: ErrorKind) -> None:
    found = slip(row(), str(answer))
    assert found is not None
    assert (found.hop, found.ambiguous) == (hop, False)
    # Taking blue for red and taking the wrong branch give the same answer.
    assert found.kind is kind or {found.kind, kind} == {ErrorKind.COLOUR, ErrorKind.CONDITION}


@pytest.mark.parametrize("answer", [None, "many", "987654.5", str(RIGHT)])
def test_what_no_single_hop_explains_is_left_to_others(answer: str | None) -> None:
    assert slip(row(), answer) is None


def test_a_row_whose_program_people_overruled_names_no_hop() -> None:
    wrong = str((6 + 34 + 71 - 11) * 5)
    assert slip(row(), wrong) is not None
    assert slip(row(program_agrees=False), wrong) is None
    assert slip(row(hops=[{**hop, "value": None} for hop in row()["hops"]]), wrong) is None


def test_a_variant_is_explained_by_its_own_program() -> None:
    single = {
        "question_single": "How many jars?", "answer_single": "4", "expr_single": "h1",
        "hops_single": [hop_to_row(HOPS[4])],
    }  # fmt: skip
    found = slip(row(**single), "5", kind="single")
    assert found is not None
    assert (found.hop, found.kind) == (1, ErrorKind.COUNTING)
    assert slip(row(), "5", kind="half") is None


def test_what_the_model_wrote_decides_between_hops_that_explain_an_answer_equally() -> None:
    sum_row = row(expr="letters(h1)+h5", answer="10")
    alone = slip(sum_row, "11")
    assert alone is not None
    assert alone.ambiguous
    assert {alone.hop, *alone.rivals} == {1, 5}
    for text, hop in (("garden has 7 letters, and I see 4 jars", 1), ("garden has 6 letters, and I see 5 jars", 5)):
        told = slip(sum_row, "11", text)
        assert told is not None
        assert (told.hop, told.ambiguous) == (hop, False)


@pytest.mark.parametrize("declared", ["<answer>6</answer>", "so the answer is 6.", r"\boxed{6}"])
def test_the_answer_that_a_text_ends_with_is_no_step(declared: str) -> None:
    branch = Cause(2, ErrorKind.CONDITION, 0.3, ("desert", "6"))
    letters = Cause(3, ErrorKind.COUNTING, 0.1, ("desert", "8"))
    text = f'I am at "DESERT". It has 8 letters. {declared}'
    found = likeliest_slip([branch, letters], text, "6")
    assert found is not None
    assert (found.hop, found.ambiguous) == (3, False)
    found = likeliest_slip([branch, letters], text.replace("8", "6"), "6")
    assert found is not None
    assert (found.hop, found.ambiguous) == (2, False)


@given(st.lists(st.tuples(st.integers(1, 6), st.floats(0.01, 1)), min_size=1, max_size=12))
def test_the_hop_with_most_plausibility_is_named_whatever_the_order(causes: list[tuple[int, float]]) -> None:
    listed = [Cause(hop, ErrorKind.TEXT, weight, ()) for hop, weight in causes]
    found, turned = likeliest_slip(listed), likeliest_slip(listed[::-1])
    assert found is not None
    assert turned is not None
    total = {hop: sum(weight for other, weight in causes if other == hop) for hop, _ in causes}
    assert total[found.hop] == pytest.approx(max(total.values()))
    assert found.share == pytest.approx(max(total.values()) / sum(total.values()))
    assert found.ambiguous == any(hop != found.hop and total[hop] >= EQUAL * total[found.hop] for hop in total)
    assert found.share == pytest.approx(turned.share)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 2, 3, 5]), st.sampled_from([-1, 1]))
def test_a_reading_that_is_off_by_one_is_found_in_what_the_model_wrote(hop: int, step: int) -> None:
    read = {1: 6, 2: 34, 3: 71, 5: 4}
    read[hop] += step
    text = f"garden has {read[1]} letters. Right of it is {read[2]}, below that {read[3]}. Blue. {read[5]} jars."
    found = SLIPS.of(row(), str((read[1] + read[2] + read[3] - 11) * read[5]), text)
    assert found is not None
    assert (found.hop, found.ambiguous) == (hop, False)


def test_errors_of_scripted_models_on_drawn_scenes_are_explained_by_their_hops() -> None:
    tried = list(attempts(2, 2, 3))
    found = [SLIPS.of(one.row, one.answer, one.text) for one in tried]
    right = [slip is not None and slip.hop == one.hop for one, slip in zip(tried, found, strict=True)]
    assert len(tried) > 8
    assert sum(right) / len(right) > 0.7  # benchmarks.slips measures it on many more
