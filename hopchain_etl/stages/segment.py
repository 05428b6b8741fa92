"""Segment: finds a mask and a box for each instance of each category."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from hopchain_etl.engines.base import JSON, Segmenter, SegmentJob
from hopchain_etl.engines.first_of import answering, who_answers
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages import labels
from hopchain_etl.stages.engine_calls import group_rows_by, outcomes_per_row, photo_of
from hopchain_etl.stages.runner import Accepted, Outcome, Rejected, Row

REVISION = 1


class Segment:
    """Rows of ``images`` with their ``categories`` to rows of ``instances``."""

    name, table = "segment", "instances"

    def __init__(self, segmenter: Segmenter, categories_fingerprint: str) -> None:
        self._segmenter = segmenter
        self._upstream = categories_fingerprint
        self._labels = labels.sources_of(segmenter)

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), ("categories", self._upstream), *self._labels)

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        named = lake.read("categories", self._upstream, shard)
        # Who named the categories is no part of the request, so that answers to the same request are found again.
        seen = group_rows_by(named.drop_columns(["detector"]).to_pylist(), "image_id")
        by = {row["image_id"]: row["detector"] for row in named.select(["image_id", "detector"]).to_pylist()}
        images = lake.read("images", None, shard).to_pylist()
        known = labels.by_photo(lake, self._labels, shard)
        return [
            {**row, "input_id": name, "categories": seen[name], "detector": by[name], "labels": known.get(name)}
            for row in images
            if (name := row["image_id"]) in seen
        ]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        segmenter = self._segmenter

        def job(row: Row) -> SegmentJob:
            return SegmentJob(photo_of(lake, row), tuple(row["categories"]), row["labels"])

        def to_outcome(row: Row, content: JSON) -> Accepted | Rejected:
            return instances(row, content, who_answers(segmenter, job(row)))

        return outcomes_per_row(journal, answering(segmenter), segmenter.segment, rows, job, to_outcome)


def instances(row: Row, content: JSON, segmenter: Row | None = None) -> Accepted | Rejected:
    """Return a segmenter's answer as rows of the instances table, dropped instances as rejects.

    ``segmenter`` says whose answer it is (schemas.ENGINE).
    """
    rejected = [Rejected(drop["reason"], drop["detail"], {"category": drop["category"]}) for drop in content["dropped"]]
    found = [
        {
            **{key: one[key] for key in ("category", "score", "certain", "box", "mask", "area", "text")},
            "instance_id": instance_id(row["image_id"], one["category"], one["mask"]["counts"]),
            "image_id": row["image_id"],
            "attributes": sorted(one["attributes"].items()),
            "detector": row.get("detector"),
            "segmenter": segmenter,
        }
        for one in content["instances"]
    ]
    return Accepted(found, rejected) if found else Rejected("no_instances", f"{len(rejected)} instances were dropped")


def instance_id(image_id: str, category: str, counts: str) -> str:
    """Return 16 hex digits over image, category and mask: the same on any machine."""
    return hashlib.sha256(f"{image_id}\n{category}\n{counts}".encode()).hexdigest()[:16]
