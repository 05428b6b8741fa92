"""Labels become instances: colours are measured where no label states them, and what may be doubtful is uncertain."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hopchain_etl.engines.base import DetectJob, Photo, SegmentJob
from hopchain_etl.engines.labels.engine import LabelsDetector, LabelsSegmenter
from hopchain_etl.labels.entries import LabelledThing
from hopchain_etl.labels.outlines import box_of, mask_of

WIDTH, HEIGHT = 640, 480
RED, BLUE = (186, 28, 42), (24, 78, 168)


def photo() -> Photo:
    """A red block on the left and a blue one on the right, on white."""
    pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    pixels[100:200, 50:150], pixels[100:200, 400:500] = RED, BLUE
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    sha = hashlib.sha256(sink.getvalue()).hexdigest()
    return Photo(sha, sha, WIDTH, HEIGHT, sink.getvalue)


def thing(category: str, box: tuple[float, float, float, float], **changes: Any) -> dict[str, Any]:
    mask = mask_of(LabelledThing("1", "1", category, box), WIDTH, HEIGHT)
    told = {"category": category, "certain": True, "boxed": False, "box": box_of(mask), "mask": mask}
    return {**told, "text": None, "attributes": {}, **changes}


LEFT, RIGHT = (50, 100, 150, 200), (400, 100, 500, 200)


def labels(*things: dict[str, Any]) -> dict[str, Any]:
    return {"width": WIDTH, "height": HEIGHT, "captions": ["Two blocks."], "empty": False, "things": list(things)}


def segmented(*things: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    (reply,) = LabelsSegmenter().segment([SegmentJob(photo(), (), labels(*things))])
    assert reply.content is not None
    return reply.content["instances"], [one["reason"] for one in reply.content["dropped"]]


def test_colours_are_measured_where_the_label_states_none() -> None:
    (red, blue), _ = segmented(thing("block", LEFT), thing("block", RIGHT))
    assert red["attributes"] == {"colour": "red", "colours": "red"}
    assert blue["attributes"]["colour"] == "blue"


def test_a_box_shows_no_colour_of_its_own_and_a_stated_colour_stays() -> None:
    (boxed, stated), _ = segmented(
        thing("block", LEFT, boxed=True), thing("block", RIGHT, boxed=True, attributes={"colour": "purple"})
    )
    assert "colour" not in boxed["attributes"]
    assert boxed["attributes"]["colours"] == "red"
    assert stated["attributes"] == {"colour": "purple", "colours": "blue, purple"}


@pytest.mark.parametrize(
    ("things", "certain", "dropped"),
    [
        pytest.param([thing("block", LEFT), thing("cup", RIGHT)], [True, True], [], id="apart"),
        pytest.param([thing("block", LEFT), thing("block", LEFT)], [True], ["duplicate"], id="labelled-twice"),
        pytest.param([thing("block", LEFT), thing("block", (50, 100, 150, 195))], [False, False], [], id="nearly"),
        pytest.param([thing("block", LEFT), thing("cube", LEFT)], [False, False], [], id="two-names"),
        pytest.param([thing("block", LEFT), thing("text", LEFT, text="A")], [True, True], [], id="text-on-it"),
        pytest.param([thing("block", (5, 5, 12, 12))], [False], [], id="small"),
        pytest.param([thing("block", (5, 5, 8, 8))], [], ["tiny_mask"], id="tiny"),
        pytest.param([thing("block", LEFT, certain=False)], [False], [], id="crowd"),
    ],
)
def test_what_may_be_doubtful_is_uncertain(things: list[Any], certain: list[bool], dropped: list[str]) -> None:
    found, drops = segmented(*things)
    assert [one["certain"] for one in found] == certain
    assert drops == dropped


def test_the_detector_lists_categories_and_says_where_there_are_no_labels() -> None:
    told = labels(thing("cup", RIGHT), thing("block", LEFT), thing("cup", LEFT), thing("text", LEFT, text="A"))
    known, unknown = DetectJob(photo(), told), DetectJob(photo())
    assert [LabelsDetector().knows(job) for job in (known, unknown)] == [True, False]
    first, second = (reply.content for reply in LabelsDetector().detect([known, unknown]))
    assert first is not None
    assert [(one["category"], one["count_estimate"]) for one in first["categories"]] == [
        ("block", 1),
        ("cup", 2),
        ("text", 1),
    ]
    assert (first["complexity"], first["quality"], first["remark"]) == (4, "high", "Two blocks.")
    assert second == {"unlabelled": True}


def test_labels_without_things_are_known_only_if_they_say_that_there_are_none() -> None:
    empty, captions = {**labels(), "empty": True}, labels()
    for told, known in ((empty, True), (captions, False)):
        assert LabelsDetector().knows(DetectJob(photo(), told)) is known
        assert LabelsSegmenter().knows(SegmentJob(photo(), (), told)) is known
    (reply,) = LabelsDetector().detect([DetectJob(photo(), captions)])
    assert reply.content == {"unusable": True}


def test_labels_are_part_of_a_job_only_where_there_are_some() -> None:
    picture, told = photo(), labels(thing("cup", RIGHT))
    assert "labels" not in DetectJob(picture).payload
    assert "labels" not in SegmentJob(picture, ()).payload
    assert DetectJob(picture, told).payload["labels"] == told
    assert SegmentJob(picture, (), told).payload["labels"] == told


def test_a_photo_that_cannot_be_read_fails_only_its_own_job() -> None:
    broken = Photo("0", "0", WIDTH, HEIGHT, lambda: b"no photo")
    jobs = [SegmentJob(one, (), labels(thing("cup", RIGHT))) for one in (broken, photo())]
    first, second = LabelsSegmenter().segment(jobs)
    assert first.permanent
    assert first.content is None
    assert second.content is not None
