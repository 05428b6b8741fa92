"""Rows say of each photo who saw it, where a lineage has several detectors and segmenters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.engines.base import SegmentJob
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.first_of import first_of
from hopchain_etl.engines.labels.engine import LabelsDetector, LabelsSegmenter
from hopchain_etl.reporting.audit import audit
from hopchain_etl.reporting.report import write_report
from hopchain_etl.scenes import draw
from hopchain_etl.stages.who_saw import name_eyes, seen_by
from support.labelled import coco_of, night, png, put, rows, settings_in
from support.toy_engines import CountedAuthor, ToyDetector, ToySegmenter

STAGE = {"stage": "segment", "fingerprint": "ab", "model": "labels + net", "model_revision": "1 + 2"}


class _Heard(ToySegmenter):
    """Keeps what it was asked."""

    def __init__(self, calls: Path) -> None:
        super().__init__(calls)
        self.asked: list[dict[str, Any]] = []

    def segment(self, jobs: Any) -> Any:
        def heard() -> Any:
            for job in jobs:
                assert isinstance(job, SegmentJob)
                self.asked.append(job.payload)
                yield job

        return super().segment(heard())


def test_each_photo_names_who_answered_and_nobody_else_was_asked(tmp_path: Path) -> None:
    settings, calls = settings_in(tmp_path), tmp_path / "calls"
    scenes = [("a.png", draw("shelf", 1)), ("b.png", draw("bars", 4))]
    put(settings, {name: png(scene) for name, scene in scenes} | {"labels.json": coco_of(scenes[:1])})
    heard = _Heard(calls)
    detector, segmenter = first_of([LabelsDetector(), ToyDetector(calls)]), first_of([LabelsSegmenter(), heard])
    build = night(settings, engines=Engines(detector, segmenter, CountedAuthor(calls)))

    names = {row["image_id"]: (row["uri"].rsplit("/", 1)[-1], row["blob_sha"]) for row in rows(build, "images")}
    labels = {"model": "labels", "revision": "1"}
    told = {names[row["image_id"]][0]: (row["detector"], row["segmenter"]) for row in rows(build, "instances")}
    assert told == {
        "a.png": (labels, labels),
        "b.png": ({"model": "toy-detector", "revision": "1"}, {"model": "toy-segmenter", "revision": "1"}),
    }
    (other,) = [sha for name, sha in names.values() if name == "b.png"]
    called = [line.split()[:2] for line in calls.read_text().splitlines() if not line.startswith("author")]
    assert called == [["detect", other], ["segment", other]]
    # who named the categories is no part of the request, so old answers are found again
    assert "toy-detector" not in json.dumps(heard.asked)

    asked = [names[row["image_id"]][0] for row in rows(build, "queries")]
    assert set(asked) == {"a.png", "b.png"}
    counts = {"labels": asked.count("a.png"), "toy-detector, toy-segmenter": asked.count("b.png")}
    assert audit(build)["seen_by"] == counts
    page = write_report(build)
    for eyes, count in counts.items():
        assert page.count(f"seen by {eyes}<") == min(count, 2)


@pytest.mark.parametrize("who", [None, {"model": "net", "revision": "2"}])
def test_a_row_that_says_nothing_leaves_the_lineages_name(who: dict[str, str] | None) -> None:
    expected = {**STAGE, "model": "net", "model_revision": "2"} if who else STAGE
    assert seen_by(STAGE, {"detector": {"model": "other", "revision": "3"}, "segmenter": who}) == expected
    assert seen_by({**STAGE, "stage": "generate"}, {"segmenter": who})["model"] == "labels + net"


def test_eyes_are_named_once_and_without_any_it_is_not_known() -> None:
    assert name_eyes([{"stage": "detect", "model": "labels"}, {"stage": "segment", "model": "labels"}]) == "labels"
    assert name_eyes([{"stage": "detect", "model": "a"}, {"stage": "segment", "model": "b"}]) == "a, b"
    assert name_eyes([{"stage": "generate", "model": "a"}]) == "not recorded"
