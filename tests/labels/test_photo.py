"""What labels of a photo say together: which things may be counted, and whether anything is said at all."""

from __future__ import annotations

from pathlib import Path

from hopchain_etl.pipeline.funnel import funnel
from support.labelled import (
    BOX,
    DOG,
    FAR,
    built,
    one_photo,
    reasons,
    things,
)


def test_what_may_not_be_counted_is_uncertain(tmp_path: Path) -> None:
    crowd = {**FAR, "iscrowd": 1}
    assert things(built(tmp_path / "crowd", one_photo(BOX, crowd, DOG))) == [
        ("cat", False),
        ("cat", True),
        ("dog", True),
    ]
    lvis = one_photo(BOX, DOG, not_exhaustive_category_ids=[1], neg_category_ids=[])
    assert things(built(tmp_path / "lvis", lvis)) == [("cat", False), ("dog", True)]
    some = {**one_photo(BOX, DOG), "info": {"exhaustive": False}}
    assert things(built(tmp_path / "some", some)) == [("cat", False), ("dog", False)]


def test_a_thing_that_had_to_be_rejected_makes_its_category_uncertain(tmp_path: Path) -> None:
    build = built(tmp_path, one_photo(BOX, {**FAR, "bbox": [400, 20, 50, 60]}, DOG))
    assert things(build) == [("cat", False), ("dog", True)]


def test_a_category_that_the_file_says_is_absent_is_a_mistake(tmp_path: Path) -> None:
    build = built(tmp_path, one_photo(BOX, DOG, neg_category_ids=[2], not_exhaustive_category_ids=[]))
    assert things(build) == [("cat", True), ("dog", False)]
    assert reasons(build) == ["absent_category"]


def test_what_two_files_outline_differently_is_uncertain(tmp_path: Path) -> None:
    both = one_photo(BOX, DOG)
    other = one_photo({**BOX, "bbox": [22, 24, 46, 58]}, DOG)
    build = built(tmp_path, both, **{"more.json": other})
    assert things(build) == [("cat", False), ("cat", False), ("dog", True)]


def test_labels_without_a_usable_thing_are_no_answer(tmp_path: Path) -> None:
    told = one_photo({"id": 9, "image_id": 1, "caption": "A cat."})
    spoiled = one_photo({**BOX, "bbox": [400, 20, 50, 60]})
    for name, labels, reason in (
        ("captions", told, "no_usable_labels"),
        ("spoiled", spoiled, "no_usable_labels"),
        ("empty", one_photo(), "no_segmentable_objects"),
    ):
        level = {one.stage: one for one in funnel(built(tmp_path / name, labels))}
        assert level["detect"].reasons == {reason: 1}, name
