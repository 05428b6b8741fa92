"""Calls an engine only for jobs whose answers are not in the journal (``lake.journal``); replies come in order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Generic, TypeVar

from hopchain_etl.engines.base import JSON, Identity, Job, Reply, payload_hash
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.segments import Answer, answer_id

J = TypeVar("J", bound=Job)


class ResponseCache:
    """The stored answers of an engine about the photos of one shard.

    ``identity``: the engine's, or a function that returns it for a job, if several engines answer. Answers of an
    identity that is not ``cached`` are not stored.
    """

    def __init__(self, journal: Journal, identity: Identity | Callable[[Any], Identity]) -> None:
        self._journal, self._identity = journal, identity

    def key(self, job: Job) -> str:
        """Return the ``Answer.id`` of a job's answer."""
        return answer_id(job.photo.blob_sha, payload_hash(self._identity_of(job), job))

    def get(self, job: Job, key: str) -> JSON | None:
        """Return the stored content of the answer to a job with this key."""
        identity = self._identity_of(job)
        return self._journal.of(identity.model).get(key) if identity.cached else None

    def put(self, reply: Reply[J]) -> Reply[J]:
        """Store the content of a reply; return the reply with what a rerun will read: key order and floats as in JSON.

        If there is an answer already, that one is returned.
        """
        assert reply.content is not None
        identity = self._identity_of(reply.job)
        if not identity.cached:
            return reply
        key = payload_hash(identity, reply.job)
        answer = Answer(key, reply.job.photo.blob_sha, reply.content, reply.raw_response)
        return replace(reply, content=self._journal.of(identity.model).put(answer), raw_response=None)

    def _identity_of(self, job: Job) -> Identity:
        return self._identity if isinstance(self._identity, Identity) else self._identity(job)


class _ReplyQueue(Generic[J]):
    """Waiting jobs in their order, and the replies by cache key. Jobs with the same key share one reply."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, J]] = deque()
        self._waiting_per_key: Counter[str] = Counter()
        self._replies: dict[str, Reply[J]] = {}

    def is_waiting(self, key: str) -> bool:
        """Return whether a job with this key waits for its reply."""
        return self._waiting_per_key[key] > 0

    def add_job(self, key: str, job: J) -> None:
        """Append a job."""
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
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]], jobs: Iterable[J], cache: ResponseCache
) -> Iterator[Reply[J]]:
    """Yield a reply for each job, in order, calling the engine only for jobs that are not cached, and once per key.

    Answers go to the journal as they arrive: they are in the lake after its next flush, at the latest when it is
    closed. Errors are never stored.
    """
    source = iter(jobs)
    for job in source:  # what a rerun finds first needs no engine and is held nowhere
        content = cache.get(job, cache.key(job))
        if content is None:
            break
        yield Reply(job, content)
    else:
        return
    replies: _ReplyQueue[J] = _ReplyQueue()

    def uncached() -> Iterator[J]:
        for each in chain([job], source):
            key = cache.key(each)
            is_asked = replies.is_waiting(key)  # then the engine already has the same request
            replies.add_job(key, each)
            if is_asked:
                continue
            content = cache.get(each, key)
            if content is None:
                yield each
            else:
                replies.add_reply(key, Reply(each, content))

    for reply in ask(uncached()):
        key = cache.key(reply.job)
        replies.add_reply(key, reply if reply.content is None else cache.put(reply))
        yield from replies.in_order()
    yield from replies.in_order()
