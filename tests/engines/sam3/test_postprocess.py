"""Which of the model's candidates become objects, which of them are certain, and what is said of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from hopchain_etl.engines.sam3.engine import Sam3Segmenter
from support.listed_sam3 import SIDE, Box, Listed, Said, certainties, job, photo, reasons, segmented, settings
from support.masks import decode

SMALL: Box = (0.25, 0.25, 0.3125, 0.3125)  # 4 x 4 of the model's pixels, some 20 x 12 of the photo's
SPECK: Box = (0.5, 0.5, 0.515625, 0.515625)


def test_scores_below_the_threshold_are_dropped_with_how_many_and_how_good() -> None:
    said: Said = {
        "dog": [(0.9, (0, 0, 0.3, 0.5)), (0.29, (0.5, 0.5, 1, 1)), (0.12, (0.4, 0.4, 0.6, 0.6)), (0.02, (0, 0, 1, 1))],
        "cat": [(0.05, (0, 0, 1, 1))],
        "owl": [],
    }
    content = segmented(said)
    assert [one["category"] for one in content["instances"]] == ["dog"]
    assert content["dropped"] == [
        {"category": "dog", "reason": "low_score", "detail": "2 candidates score 0.12 to 0.29, below 0.3"},
        {"category": "cat", "reason": "not_found", "detail": "best score 0.05, below 0.3"},
        {"category": "owl", "reason": "not_found", "detail": "best score none, below 0.3"},
    ]


def test_between_the_two_thresholds_an_instance_is_doubtful() -> None:
    content = segmented({"dog": [(0.45, (0, 0, 0.5, 1))]})
    assert [one["certain"] for one in content["instances"]] == [False]
    assert [one["certain"] for one in segmented({"dog": [(0.45, (0, 0, 0.5, 1))]}, sure_score=0.4)["instances"]] == [
        True
    ]


def test_small_objects_are_doubtful_and_specks_dropped_with_their_size() -> None:
    said: Said = {"dog": [(0.9, SMALL), (0.8, (0.6, 0, 1, 1)), (0.7, SPECK)]}
    content = segmented(said, min_area_share=0.01, noise_area=40)
    assert certainties(content) == [("dog", 0.8, True), ("dog", 0.9, False)]
    assert 100 < content["instances"][1]["area"] == decode(content["instances"][1]["mask"]).sum() < 614
    (drop,) = content["dropped"]
    assert drop["reason"] == "tiny_mask"
    assert drop["detail"].endswith("px of 40")
    assert certainties(segmented(said, min_area_share=0.001, noise_area=40))[0] == ("dog", 0.9, True)
    assert certainties(segmented(said, min_area=500, noise_area=1))[1:] == [("dog", 0.9, False), ("dog", 0.7, False)]


def test_by_default_little_things_of_a_large_photo_count_and_smaller_ones_leave_a_doubt() -> None:
    large = photo(Image.new("RGB", (3840, 2160), (200, 30, 30)))
    model = Listed({"ball": [(0.9, (0, 0, 1 / 64, 1 / 64))]})  # 60 x 34 px, a quarter of a thousandth
    (reply,) = Sam3Segmenter(settings(), lambda _: model).segment([job(["ball"], large)])
    assert reply.content is not None
    assert [one["certain"] for one in reply.content["instances"]] == [True]
    assert [one["certain"] for one in segmented({"ball": [(0.9, SPECK)]}, noise_area=1)["instances"]] == [False]


def test_a_small_object_takes_no_pixel_of_another_and_stays_whole() -> None:
    table: Said = {"table": [(0.8, (0.1, 0.1, 0.9, 0.9))]}
    alone = segmented(table)["instances"][0]
    content = segmented({**table, "cup": [(0.9, SMALL)]}, min_area_share=0.01)
    assert certainties(content) == [("table", 0.8, True), ("cup", 0.9, False)]
    assert content["instances"][0] == alone
    assert content["instances"][1]["area"] > 100
    taken = segmented({**table, "cup": [(0.9, SMALL)]})["instances"]
    assert [one["certain"] for one in taken] == [True, True]
    assert sum(one["area"] for one in taken) == alone["area"]


def test_copies_of_a_small_object_stay_out() -> None:
    content = segmented({"dog": [(0.9, SMALL), (0.8, SMALL)], "animal": [(0.7, SMALL)]}, min_area_share=0.01)
    assert certainties(content) == [("dog", 0.9, False)]
    assert reasons(content) == [("dog", "duplicate"), ("animal", "duplicate")]


def test_one_small_part_leaves_the_whole_certain_and_two_make_it_a_group() -> None:
    whole = (0.1, 0.1, 0.9, 0.9)
    one = segmented({"dog": [(0.8, whole), (0.9, SMALL)]}, min_area_share=0.01)
    assert certainties(one) == [("dog", 0.8, True), ("dog", 0.9, False)]
    two = segmented({"dog": [(0.8, whole), (0.9, SMALL), (0.7, (0.6, 0.6, 0.67, 0.67))]}, min_area_share=0.01)
    assert certainties(two) == [("dog", 0.8, False), ("dog", 0.9, False), ("dog", 0.7, False)]


def test_an_object_that_others_hide_is_doubtful_keeps_its_mask_and_takes_none_of_theirs() -> None:
    plates: Said = {"plate": [(0.9, (0.2, 0.2, 0.8, 0.8))]}
    slices: Said = {"slice": [(0.8, (0.2, 0.2, 0.5, 0.8)), (0.7, (0.5, 0.2, 0.8, 0.78))]}
    content = segmented({**plates, **slices}, min_area_share=0.03)
    assert certainties(content) == [("plate", 0.9, False), ("slice", 0.8, True), ("slice", 0.7, True)]
    assert content["instances"][0]["area"] == segmented(plates)["instances"][0]["area"]
    assert content["instances"][1:] == segmented(slices)["instances"]
    assert content["dropped"] == []


def test_one_thing_under_two_names_keeps_the_better_one() -> None:
    content = segmented({"dog": [(0.8, (0, 0, 0.5, 1))], "animal": [(0.9, (0, 0, 0.5, 0.95))]})
    assert [(one["category"], one["certain"]) for one in content["instances"]] == [("animal", True)]
    assert reasons(content) == [("dog", "duplicate")]
    assert "with 'animal' of score 0.9" in content["dropped"][0]["detail"]


def test_a_name_that_others_bear_still_counts_the_thing_as_doubtful() -> None:
    said: Said = {"dog": [(0.9, (0, 0, 0.4, 1))], "animal": [(0.8, (0, 0, 0.4, 1)), (0.9, (0.6, 0, 1, 1))]}
    content = segmented(said)
    assert sorted((one["category"], one["certain"]) for one in content["instances"]) == [
        ("animal", False),
        ("animal", True),
        ("dog", True),
    ]
    assert content["dropped"] == []


def test_two_masks_of_one_thing_in_one_category_become_one() -> None:
    content = segmented({"dog": [(0.9, (0, 0, 0.5, 1)), (0.7, (0, 0, 0.5, 0.95))]})
    assert [one["score"] for one in content["instances"]] == [0.9]
    assert reasons(content) == [("dog", "duplicate")]
    assert (
        len(segmented({"dog": [(0.9, (0, 0, 0.5, 1)), (0.7, (0, 0, 0.5, 0.95))]}, duplicate_iou=0.99)["instances"]) == 2
    )


def test_a_part_and_a_group_are_doubtful() -> None:
    part = segmented({"dog": [(0.9, (0, 0, 0.6, 1)), (0.8, (0.1, 0.1, 0.4, 0.6))]})["instances"]
    assert [(one["score"], one["certain"]) for one in part] == [(0.9, True), (0.8, False)]
    group = segmented({"dog": [(0.95, (0, 0, 1, 1)), (0.9, (0, 0, 0.4, 0.6)), (0.85, (0.6, 0.2, 0.9, 0.9))]})[
        "instances"
    ]
    assert [one["certain"] for one in group] == [False, False, False]  # all dogs, or all of them one?


def test_two_categories_that_claim_one_place_leave_the_lesser_in_doubt() -> None:
    content = segmented({"sofa": [(0.9, (0, 0, 0.6, 1))], "bed": [(0.8, (0.1, 0, 0.7, 1))]})
    assert [(one["category"], one["certain"]) for one in content["instances"]] == [("sofa", True), ("bed", False)]


@hypothesis_settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0.31, 1), *[st.integers(0, 48)] * 2, *[st.integers(4, 40)] * 2),
        max_size=8,
    )
)
def test_certain_instances_share_no_pixel_and_every_candidate_is_accounted_for(found: list[Any]) -> None:
    said: Said = {}
    for name, score, x, y, wide, high in found:
        box = (x / SIDE, y / SIDE, min(SIDE, x + wide) / SIDE, min(SIDE, y + high) / SIDE)
        said.setdefault(name, []).append((score, box))
    content = segmented(said, names=list("abc"))
    rows = content["instances"]
    total = sum((decode(one["mask"]).astype(int) for one in rows if one["certain"]), np.zeros((192, 320), dtype=int))
    assert total.max(initial=0) <= 1
    unfound = {name for name, reason in reasons(content) if reason == "not_found"}
    assert len(rows) + len(content["dropped"]) - len(unfound) == len(found)
    assert unfound == set("abc") - set(said)
