"""What the rows of segment say of an answer, and the ids by which everything below finds an instance again."""

from __future__ import annotations

from typing import Any

from hopchain_etl.stages.runner import Accepted, Rejected
from hopchain_etl.stages.segment import instance_id, instances

CUP: dict[str, Any] = {
    "category": "cup",
    "score": 0.9,
    "certain": True,
    "box": [0.0, 0.0, 2.0, 2.0],
    "mask": {"size": [2, 2], "counts": "04"},
    "area": 4,
    "text": None,
    "attributes": {"size": "small", "colour": "red"},
}
DROPPED = {"category": "cup", "reason": "too_small", "detail": "3 pixels"}


def test_ids_are_those_under_which_earlier_results_are_stored() -> None:
    assert instance_id("photo", "cup", "04") == "5e8220d9f455a2f6"
    others = [("photo 2", "cup", "04"), ("photo", "lid", "04"), ("photo", "cup", "05")]
    assert len({instance_id(*one) for one in [("photo", "cup", "04"), *others]}) == 4


def test_an_answer_gives_a_row_for_each_instance_and_a_reject_for_each_that_was_dropped() -> None:
    row, who = {"image_id": "photo", "detector": {"model": "a"}}, {"model": "b"}
    outcome = instances(row, {"instances": [CUP], "dropped": [DROPPED]}, who)
    assert isinstance(outcome, Accepted)
    (made,) = outcome.rows
    assert made == {
        **CUP,
        "instance_id": instance_id("photo", "cup", "04"),
        "image_id": "photo",
        "attributes": [("colour", "red"), ("size", "small")],
        "detector": {"model": "a"},
        "segmenter": {"model": "b"},
    }
    assert outcome.rejected_candidates == [Rejected("too_small", "3 pixels", {"category": "cup"})]


def test_a_photo_of_which_no_instance_is_left_is_rejected() -> None:
    outcome = instances({"image_id": "photo"}, {"instances": [], "dropped": [DROPPED, DROPPED]})
    assert outcome == Rejected("no_instances", "2 instances were dropped")
