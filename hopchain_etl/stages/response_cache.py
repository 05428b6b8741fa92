"""The journal: raw model answers in the lake, so that no call is paid for twice.

All fingerprints share it. Keys are ``journal/<model>/<hh>/<blob_sha>/<payload_hash>.json``: the blob comes first, so
that erasing an image finds every answer about it, also answers given without the image, whose hash does not include the
image.

An entry holds the parsed content from the engine and, under ``said``, the model's literal text. The text is only for
people, to check a row later.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import Generic, TypeVar

from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import JSON, Identity, Job, Reply, payload_hash
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError

J = TypeVar("J", bound=Job)
BLIND = "no/none"  # below a model: folder of blind answers written by earlier revisions, for all photos
_RAW_RESPONSE = "said"
# Jobs looked up together: few at first, so that an engine starts at once; a missing key costs one request.
_LOOK_AHEAD = (8, 16, 32, 64)


class ResponseCache:
    """The stored answers of one engine identity."""

    def __init__(self, lake: Lake, identity: Identity) -> None:
        self._store = lake.store
        self._identity = identity
        self._folder = f"journal/{re.sub(r'[^A-Za-z0-9._-]+', '_', identity.model)}"

    def key(self, job: Job) -> str:
        """Return the S3 key of a job's answer."""
        blob = job.photo.blob_sha
        return f"{self._folder}/{blob[:2]}/{blob}/{payload_hash(self._identity, job)}.json"

    def get_many(self, jobs: Mapping[str, Job]) -> dict[str, JSON]:
        """Return the stored contents among the keys of ``jobs``."""
        contents = zip(jobs, map_threads(self._lookup, jobs.items()), strict=True)
        return {key: content for key, content in contents if content is not None}

    def put(self, key: str, content: JSON, raw_response: JSON | None = None) -> JSON:
        """Store an answer and return the stored content; if another build stored an answer first, that one."""
        entry = {**content, _RAW_RESPONSE: raw_response} if raw_response else content
        data = json.dumps(entry, sort_keys=True).encode()
        if self._store.put_if_absent(key, data):
            # Continue with exactly what a rerun would read: floats and key order as JSON stores them.
            return _content(data)
        return self._get(key) or content

    def _lookup(self, item: tuple[str, Job]) -> JSON | None:
        key, job = item
        content = self._get(key)
        if content is None and job.payload.get("blob", "") is None:
            return self._get(f"{self._folder}/{BLIND}/{key.rsplit('/', 1)[1]}")
        return content

    def _get(self, key: str) -> JSON | None:
        try:
            return _content(self._store.get(key))
        except MissingObjectError:
            return None


def _content(entry: bytes) -> JSON:
    content: JSON = json.loads(entry)
    content.pop(_RAW_RESPONSE, None)
    return content


class _ReplyQueue(Generic[J]):
    """Waiting jobs in their order, and the replies by cache key. Jobs with the same key share one reply."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, J]] = deque()
        self._waiting_per_key: Counter[str] = Counter()
        self._replies: dict[str, Reply[J]] = {}

    def is_waiting(self, key: str) -> bool:
        """Return whether a job with this key waits for its reply."""
        return self._waiting_per_key[key] > 0

    def add_jobs(self, jobs: Iterable[tuple[str, J]]) -> None:
        """Append jobs with their keys."""
        for key, job in jobs:
            self._waiting.append((key, job))
            self._waiting_per_key[key] += 1

    def add_reply(self, key: str, reply: Reply[J]) -> None:
        """Add the reply to the waiting jobs with this key."""
        self._replies[key] = reply

    def in_order(self) -> Iterator[Reply[J]]:
        """Remove and yield the replies that are next in the order of the jobs."""
        while self._waiting and self._waiting[0][0] in self._replies:
            key, job = self._waiting.popleft()
            reply = self._replies.pop(key)
            self._waiting_per_key[key] -= 1
            if self._waiting_per_key[key]:
                self._replies[key] = replace(reply, tokens=0, seconds=0.0)  # paid for once
            else:
                del self._waiting_per_key[key]
            yield replace(reply, job=job)


def replies_with_cache(
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]], jobs: Iterable[J], cache: ResponseCache, *, writes: int
) -> Iterator[Reply[J]]:
    """Yield a reply for each job, in order, calling the engine only for jobs that are not cached, and once per key.

    Each answer is stored when it arrives, with up to ``writes`` concurrent writes, and yielded only after it is stored:
    a kill repeats at most the calls that the engine has not handed over and those writes, a closed generator only the
    former. Errors are never stored.
    """
    replies: _ReplyQueue[J] = _ReplyQueue()
    storing: deque[tuple[str, Reply[J], Future[JSON]]] = deque()

    def uncached() -> Iterator[J]:
        source = iter(jobs)
        for size in chain(_LOOK_AHEAD, repeat(_LOOK_AHEAD[-1])):
            batch = [(cache.key(job), job) for job in islice(source, size)]
            if not batch:
                return
            fresh: dict[str, J] = {}
            for key, job in batch:
                if not replies.is_waiting(key):  # otherwise the engine already has the same request
                    fresh.setdefault(key, job)
            known = cache.get_many(fresh)
            # All are added before the first is sent: a key that no job waits for is forgotten between two jobs.
            replies.add_jobs(batch)
            for key, content in known.items():
                replies.add_reply(key, Reply(fresh[key], content))
            yield from (job for key, job in fresh.items() if key not in known)

    def finish_writes(most: int) -> None:
        """Take over the replies that have been stored; wait until at most ``most`` writes are pending."""
        while storing and (len(storing) > most or storing[0][2].done()):
            key, reply, content = storing.popleft()
            replies.add_reply(key, replace(reply, content=content.result(), raw_response=None))

    # The pool exits only after every answer is stored, also when a graceful stop closes this generator.
    with ThreadPoolExecutor(min(writes, 16), thread_name_prefix="response-cache") as threads:
        for reply in ask(uncached()):
            key = cache.key(reply.job)
            if reply.content is None:
                replies.add_reply(key, reply)
            else:
                storing.append((key, reply, threads.submit(cache.put, key, reply.content, reply.raw_response)))
            finish_writes(writes)
            yield from replies.in_order()
        finish_writes(0)
    yield from replies.in_order()
