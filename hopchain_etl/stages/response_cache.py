"""Raw model answers already paid for, shared by all fingerprints, so that no call is ever bought twice.

Keys are ``journal/<model>/<hh>/<blob_sha>/<payload_hash>.json``: the blob comes first, so that erasing an image finds
every answer about it, blind ones too, although what is not shown takes no part in the hash.

An entry is the content that an engine gave, and under ``said`` what the model wrote word for word, so that a row can
be held against it years later; only people read that.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import TypeVar

from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import JSON, Identity, Job, Reply, payload_hash
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError

J = TypeVar("J", bound=Job)
BLIND = "no/none"  # below a model: where blind answers of earlier revisions lie, whichever photo they are about
_SAID = "said"
# Jobs looked up together: few at first, so that an engine starts at once; an absent key costs one request.
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
        found = zip(jobs, map_threads(self._found, jobs.items()), strict=True)
        return {key: content for key, content in found if content is not None}

    def put(self, key: str, content: JSON, said: JSON | None = None) -> JSON:
        """Store an answer and return the content now held: where another build was first, its answer."""
        data = json.dumps({**content, _SAID: said} if said else content, sort_keys=True).encode()
        if self._store.put_if_absent(key, data):
            # What a rerun will read is what this run goes on with: floats and key order as JSON keeps them.
            return _content(data)
        return self._get(key) or content

    def _found(self, asked: tuple[str, Job]) -> JSON | None:
        key, job = asked
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
    content.pop(_SAID, None)
    return content


def replies_with_cache(
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]], jobs: Iterable[J], journal: ResponseCache, *, writes: int
) -> Iterator[Reply[J]]:
    """Yield a reply for each job, in order, asking the engine only for what the journal lacks, and only once.

    Each answer is stored as it comes, up to ``writes`` of them at a time beside the engine, and yielded only once
    stored: a kill repeats at most the calls that the engine has not handed over and those writes, a closed generator
    only the former. Errors are never stored.
    """
    waiting: deque[tuple[str, J]] = deque()
    wanted: Counter[str] = Counter()  # how many of those that wait share a key
    settled: dict[str, Reply[J]] = {}
    storing: deque[tuple[str, Reply[J], Future[JSON]]] = deque()

    def unanswered() -> Iterator[J]:
        source = iter(jobs)
        for size in chain(_LOOK_AHEAD, repeat(_LOOK_AHEAD[-1])):
            ahead = [(journal.key(job), job) for job in islice(source, size)]
            if not ahead:
                return
            fresh: dict[str, J] = {}
            for key, job in ahead:
                if not wanted[key]:  # else the same question is with the engine already
                    fresh.setdefault(key, job)
            known = journal.get_many(fresh)
            # All are noted before the first goes out: what nobody waits for any more is forgotten between two jobs.
            waiting.extend(ahead)
            wanted.update(key for key, _ in ahead)
            settled.update((key, Reply(fresh[key], content)) for key, content in known.items())
            yield from (job for key, job in fresh.items() if key not in known)

    def stored(most: int) -> None:
        """Settle what has been stored; wait until at most ``most`` writes are under way."""
        while storing and (len(storing) > most or storing[0][2].done()):
            key, reply, content = storing.popleft()
            settled[key] = replace(reply, content=content.result(), raw_response=None)

    def in_order() -> Iterator[Reply[J]]:
        while waiting and waiting[0][0] in settled:
            key, job = waiting.popleft()
            reply = settled.pop(key)
            wanted[key] -= 1
            if wanted[key]:
                settled[key] = replace(reply, tokens=0, seconds=0.0)  # paid for once
            else:
                del wanted[key]
            yield replace(reply, job=job)

    # The pool is left only when every answer is stored, also where a graceful stop closes this generator.
    with ThreadPoolExecutor(min(writes, 16), thread_name_prefix="journal") as threads:
        for reply in ask(unanswered()):
            key = journal.key(reply.job)
            if reply.content is None:
                settled[key] = reply
            else:
                storing.append((key, reply, threads.submit(journal.put, key, reply.content, reply.raw_response)))
            stored(writes)
            yield from in_order()
        stored(0)
    yield from in_order()
