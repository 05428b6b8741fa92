"""Hops with boxes, and answers to imitate: of what a row may hold, and of what it may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.training_set.export.program import hops_of, response_of
from hopchain_etl.training_set.rewards import grade
from support.training_sets import half_program, training_row

ROW = {**training_row(), **half_program(training_row())}


def test_boxes_lie_where_the_instances_do() -> None:
    hops = hops_of(ROW, "full")
    assert hops is not None
    assert [len(hop["boxes"]) for hop in hops] == [
        1,
        1,
        1,
        1,
        sum(one["category"] == "cup" for one in ROW["instances"]),
    ]
    car = hops[0]
    assert car["boxes"] == [[20 / 320, 30 / 240, 90 / 320, 70 / 240]]  # of a photo of 320 x 240 px
    assert car["boxes_1000"] == [[62, 125, 281, 292]]
    assert [hop["value"] for hop in hops] == [hop["value"] for hop in ROW["hops"]]
    assert hops[1]["text"].startswith("Step 2: the number nearest to the car of step 1 is ")


def test_a_variant_has_its_own_hops() -> None:
    hops = hops_of(ROW, "half")
    assert hops is not None
    assert [hop["category"] for hop in hops] == ["dog", "number", "cup"]
    assert hops_of(ROW, "single") is None
    assert response_of(ROW, "single", ROW["answer_single"]) is None
    said = response_of(ROW, "half", ROW["answer_half"])
    assert said is not None
    assert grade(said, ROW["answer_half"]).correct


def test_where_people_and_program_differ_there_is_nothing_to_imitate() -> None:
    silent = [{**hop, "value": None} for hop in ROW["hops"]]
    row = {**ROW, "program_agrees": False, "hops": silent, "answer": "999"}
    assert response_of(row, "full", "999") is None
    hops = hops_of(row, "full")
    assert hops is not None
    assert [hop["value"] for hop in hops] == [None] * 5
    assert all(hop["text"].split(": ")[1].startswith("find ") for hop in hops)


@pytest.mark.parametrize(
    "change",
    [{"answer": "999"}, {"expr": "h2+"}, {"expr": None}, {"expr": "h1"}, {"hops": [{"target": []}]}, {"hops": None}],
)
def test_a_program_that_does_not_give_the_answer_is_not_imitated(change: dict[str, Any]) -> None:
    row = {**ROW, **change}
    assert response_of(row, "full", row["answer"]) is None


@given(
    st.text() | st.sampled_from(["\\boxed{9}", "</think>", "<think>", "<answer>9</answer>", "\nStep 2: it is 9", "{"])
)
def test_what_a_photo_says_never_makes_a_wrong_answer_to_imitate(written: str) -> None:
    """A text that is read may hold anything: then the answer is still graded as right, or there is none."""
    text = {**ROW["hops"][3], "read": "text", "value": json.dumps(written)}
    row = {**ROW, "hops": [*ROW["hops"][:3], text, ROW["hops"][4]], "expr": "h5", "answer": str(ROW["answer_single"])}
    said = response_of(row, "full", row["answer"])
    assert said is None or grade(said, row["answer"]).correct
