"""Raw model answers already paid for, shared by all fingerprints, so that no call is ever bought twice.

Keys are ``journal/<model>/<hh>/<blob_sha>/<payload_hash>.json``: the blob comes first, so that erasing an image finds
every answer about it.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from hopchain_etl.engines.base import JSON, Identity, Job, Reply, payload_hash
from hopchain_etl.lake import Lake
from hopchain_etl.store import MissingObjectError

J = TypeVar("J", bound=Job)
_LOOK_AHEAD = 64  # jobs looked up together; an absent key costs one request


class Journal:
    """The stored answers of one engine identity."""

    def __init__(self, lake: Lake, identity: Identity) -> None:
        self._store = lake.store
        self._identity = identity
        self._folder = f"journal/{re.sub(r'[^A-Za-z0-9._-]+', '_', identity.model)}"
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="journal")

    def key(self, job: Job) -> str:
        """Return the S3 key of a job's answer."""
        blob = job.payload.get("blob") or "none"
        return f"{self._folder}/{blob[:2]}/{blob}/{payload_hash(self._identity, job)}.json"

    def known(self, keys: Iterable[str]) -> dict[str, JSON]:
        """Return the stored contents among ``keys``."""
        keys = list(keys)
        return {k: v for k, v in zip(keys, self._threads.map(self._get, keys), strict=True) if v is not None}

    def settle(self, answers: dict[str, JSON]) -> dict[str, JSON]:
        """Store new answers and return what the journal now holds: where another build was first, its answer."""
        return dict(zip(answers, self._threads.map(self._put, answers.items()), strict=True))

    def _get(self, key: str) -> JSON | None:
        try:
            content: JSON = json.loads(self._store.get(key))
        except MissingObjectError:
            return None
        return content

    def _put(self, item: tuple[str, JSON]) -> JSON:
        key, content = item
        if self._store.put_new(key, json.dumps(content, sort_keys=True).encode()):
            # What a rerun will read is what this run goes on with: floats and key order as JSON keeps them.
            stored: JSON = json.loads(json.dumps(content, sort_keys=True))
            return stored
        return self._get(key) or content


def replies(
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]],
    jobs: Iterable[J],
    journal: Journal,
    *,
    flush_calls: int,
    flush_seconds: float,
) -> Iterator[Reply[J]]:
    """Yield a reply for each job, in order, asking the engine only for what the journal lacks.

    Answers are stored ``flush_calls`` at a time or after ``flush_seconds``, and yielded only once stored: a kill
    repeats at most the calls in flight plus one flush. Errors are never stored.
    """
    waiting: deque[tuple[str, J]] = deque()
    settled: dict[str, Reply[J]] = {}

    def unanswered() -> Iterator[J]:
        source = iter(jobs)
        while ahead := [(journal.key(job), job) for job in islice(source, _LOOK_AHEAD)]:
            known = journal.known(key for key, _ in ahead)
            for key, job in ahead:
                waiting.append((key, job))
                if key in known:
                    settled[key] = Reply(job, known[key])
                else:
                    yield job

    def in_order() -> Iterator[Reply[J]]:
        while waiting and waiting[0][0] in settled:
            key, job = waiting.popleft()
            reply = settled[key]
            yield Reply(job, reply.content, reply.error, reply.tokens)

    fresh: dict[str, Reply[J]] = {}
    last_flush = time.monotonic()
    try:
        for reply in ask(unanswered()):
            key = journal.key(reply.job)
            if reply.content is None:
                settled[key] = reply
            else:
                fresh[key] = reply
            if len(fresh) >= flush_calls or time.monotonic() - last_flush > flush_seconds:
                settled |= _flush(journal, fresh)
                last_flush = time.monotonic()
            yield from in_order()
    finally:  # a graceful stop closes this generator: what has been answered is kept
        settled |= _flush(journal, fresh)
    yield from in_order()


def _flush(journal: Journal, fresh: dict[str, Reply[J]]) -> dict[str, Reply[J]]:
    """Store the fresh replies, forget them, and return them as the journal holds them."""
    stored = journal.settle({key: reply.content for key, reply in fresh.items() if reply.content is not None})
    kept = {key: Reply(reply.job, stored[key], tokens=reply.tokens) for key, reply in fresh.items()}
    fresh.clear()
    return kept
