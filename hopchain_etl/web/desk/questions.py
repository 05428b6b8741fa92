"""Question: what annotators may see of a query, read for a batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.gold import GoldItem
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Shard

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """The part of a query that annotators may see, and the location of its photo (``image_id`` empty: a drawn one)."""

    query_id: str
    image_id: str
    text: str
    width: int
    height: int
    blob_key: str


def is_withdrawn(lake: Lake, question: Question) -> bool:
    """Return whether a question's photo is withdrawn now: one request, no cache."""
    return bool(question.image_id) and lake.store.exists(f"withdrawn/{question.image_id}.json")


def read_questions(lake: Lake, batch: Batch) -> dict[str, Question]:
    """Return the questions of a batch; queries whose rows no longer exist are omitted."""
    if batch.lineage is None:
        log.warning("batch %s has no queries fingerprint; its queries are not shown", batch.id)
        return {}
    shards = [Shard.parse(shard) for shard in batch.shards] or lake.completed_shards("queries", batch.lineage)
    wanted = set(batch.query_ids)

    def read(shard: Shard) -> list[Question]:
        rows = lake.read("queries", batch.lineage, shard, withdrawn=()).select(["query_id", "image_id", "question"])
        images = lake.read("images", None, shard, withdrawn=()).select(["image_id", "blob_sha", "width", "height"])
        by_id = {image["image_id"]: image for image in images.to_pylist()}
        return [
            Question(
                row["query_id"],
                row["image_id"],
                row["question"],
                by_id[row["image_id"]]["width"],
                by_id[row["image_id"]]["height"],
                f"blobs/{by_id[row['image_id']]['blob_sha']}",
            )
            for row in rows.to_pylist()
            if row["query_id"] in wanted and row["image_id"] in by_id
        ]

    return {question.query_id: question for found in map_threads(read, shards) for question in found}


def as_question(item: GoldItem) -> Question:
    """Return a gold check in the form of a normal question."""
    return Question(item.query_id, item.image_id, item.question, item.width, item.height, item.blob_key)
