"""A shard's worth of questions through journal and client, as a function for tests and as a script to be killed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from hopchain_etl.engines.base import Identity, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, Message
from hopchain_etl.engines.vlm.client import VlmClient
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import LakeSettings, VlmSettings
from hopchain_etl.stages.response_cache import ResponseCache, replies_with_cache
from support.plain_job import PlainJob

ROWS = 90
CONCURRENCY = 8
FLUSH = 12
SHARD = Shard("first", 0)


def run(bucket: str, endpoint: str, url: str, numbers: Iterable[int] = range(ROWS)) -> list[Reply[PlainJob]]:
    """Ask what the lake's journal lacks and return every reply in order."""
    place = {"endpoint_url": endpoint, "path_style": True}
    lake = Lake(LakeSettings(uri=f"s3://{bucket}/lake", journal_flush_answers=FLUSH, **place))
    settings = VlmSettings(model="scripted", concurrency=CONCURRENCY, timeout_seconds=1, down_after_seconds=0.5)
    client = VlmClient(settings, url)

    def ask(jobs: Iterable[PlainJob]) -> Any:
        return client.ask(
            jobs,
            lambda job: ChatRequest((Message("user", (f"row {job.number}",)),), max_tokens=50),
            lambda job, answer: answer.json(),
        )

    with Journal(lake, SHARD) as journal:
        cache = ResponseCache(journal, Identity("scripted", "1"))
        return list(replies_with_cache(ask, map(PlainJob, numbers), cache))


if __name__ == "__main__":
    run(*sys.argv[1:])
