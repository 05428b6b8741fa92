"""Detect: names the categories in each photo, and rejects photos of low quality or with too little in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hopchain_etl.engines.base import JSON, DetectJob, Detector, Selection
from hopchain_etl.engines.first_of import answering, who_answers
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages import labels
from hopchain_etl.stages.engine_calls import outcomes_per_row, photo_of
from hopchain_etl.stages.runner import Accepted, Outcome, Rejected, Row

REVISION = 1
QUALITIES = ("low", "medium", "high")


class Detect:
    """Rows of ``images`` to rows of ``categories``."""

    name, table = "detect", "categories"

    def __init__(self, detector: Detector, selection: Selection | None = None) -> None:
        self._detector = detector
        self._selection = selection
        self._labels = labels.sources_of(detector)

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), *self._labels)

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        rows = lake.read("images", None, shard).to_pylist()
        known = labels.by_photo(lake, self._labels, shard)
        return [{**row, "input_id": row["image_id"], "labels": known.get(row["image_id"])} for row in rows]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        detector = self._detector

        def job(row: Row) -> DetectJob:
            return DetectJob(photo_of(lake, row), row["labels"])

        def to_outcome(row: Row, content: JSON) -> Accepted | Rejected:
            return categories(row, content, self._selection, who_answers(detector, job(row)))

        return outcomes_per_row(journal, answering(detector), detector.detect, rows, job, to_outcome)


def categories(
    row: Row, content: JSON, selection: Selection | None = None, detector: Row | None = None
) -> Accepted | Rejected:
    """Return a detector's answer as rows of the categories table; ``detector`` says whose it is (schemas.ENGINE)."""
    if content.get("unlabelled"):
        return Rejected("no_labels", "no label file says anything of this photo")
    if content.get("unusable"):
        return Rejected("no_usable_labels", "no label of a thing in this photo can be used; see the rejects of labels")
    if selection and (rejected := _unselected(content, selection)):
        return rejected
    seen = [
        {
            "image_id": row["image_id"],
            "category": category["category"],
            "count_estimate": category["count_estimate"],
            "complexity": content["complexity"],
            "quality": content["quality"],
            "found": category["found"],
            "detector": detector,
        }
        for category in content["categories"]
    ]
    return Accepted(seen) if seen else Rejected("no_segmentable_objects", "nothing was seen that has an outline")


def _unselected(content: JSON, selection: Selection) -> Rejected | None:
    """Return the reject if a photo does not meet the selection (docs/paper.md, stage 0); a detector may not rate it."""
    if content["quality"] is None or content["complexity"] is None:
        return None
    remark = content.get("remark", "")
    if QUALITIES.index(content["quality"]) < QUALITIES.index(selection.min_quality):
        return Rejected("low_quality", f"quality {content['quality']}: {remark}")
    if content["complexity"] < selection.min_complexity:
        return Rejected("too_simple", f"complexity {content['complexity']} of 10: {remark}")
    return None
