"""The VLM client of this project behind its journal, which is in a local folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.rows import MAX_TOKENS, MODEL, TEMPERATURE, Answer, Row, Task, read_rows
from hopchain_etl.engines.base import Identity, Photo, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
from hopchain_etl.engines.vlm.client import VlmClient
from hopchain_etl.engines.vlm.images import PromptImage
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import LakeSettings, VlmSettings
from hopchain_etl.stages.response_cache import ResponseCache, replies_with_cache


@dataclass(frozen=True)
class RowJob:
    row: Row

    @property
    def photo(self) -> Photo:
        sha = hashlib.sha256(self.row.photo).hexdigest()
        return Photo(sha, sha, 0, 0, lambda: self.row.photo)

    @property
    def payload(self) -> dict[str, Any]:
        return {"blob": self.photo.blob_sha, "prompt": self.row.prompt}


def call_of(job: RowJob) -> ChatRequest:
    prompt = Message("user", (job.row.prompt, PromptImage(job.photo.load)))
    return ChatRequest((prompt,), MAX_TOKENS, temperature=TEMPERATURE)


def content_of(job: RowJob, answer: ChatResponse) -> dict[str, Any]:
    return {"text": answer.text}


def answer(task: Task) -> list[Answer]:
    client = VlmClient(VlmSettings(model=MODEL, concurrency=task.at_once, timeout_seconds=task.timeout), task.url)

    def ask(jobs: Iterable[RowJob]) -> Iterator[Reply[RowJob]]:
        return client.ask(jobs, call_of, content_of)

    where = LakeSettings(uri=f"file://{task.work}/lake")
    with Journal(Lake(where), Shard("first", 0)) as journal:
        cache = ResponseCache(journal, Identity(MODEL, "1"))
        replies = replies_with_cache(ask, map(RowJob, read_rows(task.rows)), cache)
        return [
            Answer(reply.job.row.number, reply.content and reply.content["text"], reply.error or None)
            for reply in replies
        ]
