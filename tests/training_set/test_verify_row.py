"""One row: which share of it nobody but eyes has checked, and rows that lack a part."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.training_set.verify_row import Complaint, scene_of, verify_any, verify_row
from support.training_sets import Row, training_row


def reasons(complaints: list[Complaint]) -> list[str]:
    return [reason for reason, _ in complaints]


def seen_by_eyes(row: Row, hops: int) -> Row:
    """Return a row whose last hops only eyes have confirmed."""
    by = ["code"] * (len(row["hops"]) - hops) + ["eyes"] * hops
    confirmed = [{"by": one, "looks": 2 * (one == "eyes")} for one in by]
    return {**row, "confirmed_by": confirmed, "unchecked": hops / len(by)}


@pytest.mark.parametrize("hops", [0, 1, 3, 5])
def test_the_unchecked_share_is_that_of_the_hops_that_code_does_not_confirm(hops: int) -> None:
    row = seen_by_eyes(training_row(), hops)
    assert verify_row(row) == ([], hops / 5)
    assert verify_any(row) == ([], hops / 5)
    for stated in (row["unchecked"] + 1e-4, row["unchecked"] - 1e-4, 0.5):
        said, share = verify_row({**row, "unchecked": stated})
        assert said == [("wrong_unchecked", f"states {stated:.3f}, is {hops / 5:.3f}")]
        assert share == hops / 5
    assert verify_row({**row, "unchecked": row["unchecked"] + 1e-7}) == ([], hops / 5), "as 32 bits store it"


def disagreeing(row: Row, **changes: Any) -> Row:
    """Return a row where people outvote the program."""
    variants = dict.fromkeys(("question_half", "answer_half", "question_single", "answer_single"))
    hops = [{**hop, "value": None} for hop in row["hops"]]
    return {
        **row,
        **variants,
        "hops": hops,
        "answer": "999",
        "human_answers": ["999"] * 4,
        "program_agrees": False,
    } | changes


@pytest.mark.parametrize("stated", [0.0, 0.4, 1.0])
def test_where_people_disagree_with_the_program_the_stated_share_stands(stated: float) -> None:
    assert verify_any(disagreeing(training_row(), unchecked=stated)) == ([], stated)


@pytest.mark.parametrize("stated", [-0.01, 1.01, float("nan"), float("inf")])
def test_what_is_no_share_counts_as_all(stated: float) -> None:
    said, share = verify_any(disagreeing(training_row(), unchecked=stated))
    assert (reasons(said), share) == (["wrong_unchecked"], 1.0)


def shortened(row: Row, kept: list[int], expr: str) -> Row:
    return {**row, "hops": [row["hops"][number] for number in kept], "expr": expr}


@pytest.mark.parametrize("combination", [None, []])
def test_without_a_combination_the_chain_says_which_instances_there_are(combination: list[str] | None) -> None:
    row = training_row()
    lacking = {**row, "combination": combination}
    assert verify_row(lacking) == ([], 0.0)
    # The car and its number: of a combination of three, a chain may leave one unused. One instance alone is no chain.
    two, one = shortened(lacking, [0, 1, 4], "h2*h3"), shortened(lacking, [0, 4], "h2")
    assert "instance_count" not in reasons(verify_row(two)[0])
    assert "instance_count" in reasons(verify_row(one)[0])
    stated = {**two, "combination": row["combination"][:2]}
    assert "instance_count" in reasons(verify_row(stated)[0]), "a combination that is stated has at least three"


def test_without_instances_nothing_can_be_checked() -> None:
    row = training_row()
    query = {name: value for name, value in row.items() if name != "program_agrees"}
    assert verify_any(query) == ([], 0.0)
    said = ("no_instances", f"no instances of image {row['image_id']} were given")
    assert verify_any({**query, "instances": []}) == ([said], 1.0)
    assert "dangling_id" in reasons(verify_any({**row, "instances": []})[0])


@pytest.mark.parametrize("lacking", [{}, {"width": None}, {"width": None, "height": None}])
def test_the_size_is_that_of_the_photo_or_else_of_the_masks(lacking: Row) -> None:
    found = scene_of({**training_row(), **lacking})
    assert (found.width, found.height) == (320, 240)
    alone = scene_of({**training_row(), **lacking, "instances": training_row()["instances"][:1]})
    assert (alone.width, alone.height) == (320, 240)


def test_what_is_no_row_is_a_complaint() -> None:
    said = ("unreadable_row", "it has no 'instances'; give the instances table with --instances")
    assert verify_any({}) == ([said], 1.0)
    row = {**training_row(), "width": None, "instances": [{}]}
    assert verify_any(row) == ([("unreadable_row", "it has no 'mask'")], 1.0)


def test_the_size_of_the_row_comes_before_that_of_the_masks() -> None:
    found = scene_of({**training_row(), "width": 600, "height": 500})
    assert (found.width, found.height) == (600, 500)


def test_an_unreviewed_row_has_no_answers_of_people() -> None:
    row = training_row() | {"policy": "unreviewed", "human_answers": None}
    assert verify_row(row) == ([], 0.0)
    assert reasons(verify_row({**row, "human_answers": [row["answer"]]})[0]) == ["wrong_policy"]
