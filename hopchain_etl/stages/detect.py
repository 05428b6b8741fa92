"""Detect: which categories of things a photo shows (HOPCHAIN.md, stages 0 and 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hopchain_etl.engines.base import JSON, DetectJob, Detector
from hopchain_etl.lake import Lake, Shard
from hopchain_etl.stages.asking import outcomes, photo_of
from hopchain_etl.stages.resources import Resources
from hopchain_etl.stages.runner import Made, Outcome, Rejected, Row

REVISION = 1
RESOURCES = Resources(pool="vlm")


class Detect:
    """Rows of ``images`` to rows of ``categories``."""

    name, table = "detect", "categories"

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None),)

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        rows = lake.read("images", None, shard).to_pylist()
        return [{**row, "input_id": row["image_id"]} for row in rows]

    def process(self, lake: Lake, rows: Sequence[Row]) -> Iterator[Outcome]:
        detector = self._detector
        return outcomes(
            lake, detector.identity, detector.detect, rows, lambda row: DetectJob(photo_of(lake, row)), categories
        )


def categories(row: Row, content: JSON) -> Made | Rejected:
    """Return a detector's answer as rows of the categories table."""
    seen = [
        {
            "image_id": row["image_id"],
            "category": category["category"],
            "count_estimate": category["count_estimate"],
            "complexity": content["complexity"],
            "quality": content["quality"],
            "found": category["found"],
        }
        for category in content["categories"]
    ]
    return Made(seen) if seen else Rejected("nothing_to_segment", "no category of segmentable objects was seen")
