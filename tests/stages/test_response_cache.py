"""Answers are bought once, kept as they come, and handed on in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopchain_etl.engines.base import Identity, Job, Photo, Reply, SolveJob
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import LakeSettings
from hopchain_etl.stages.response_cache import ResponseCache, replies_with_cache
from support.plain_job import PlainJob
from support.s3 import S3Location

pytestmark = pytest.mark.s3
J = TypeVar("J", bound=Job)
ME = Identity("org/model name", "1", {"prompt": "look"})
FIRST = Shard("first", 0)


class Backwards:
    """An engine that answers in pairs, the second first, and fails on some."""

    def __init__(self, fails: frozenset[int] = frozenset()) -> None:
        self.asked: list[int] = []
        self._fails = fails

    def __call__(self, jobs: Iterable[PlainJob]) -> Iterator[Reply[PlainJob]]:
        held: list[PlainJob] = []
        for job in jobs:
            self.asked.append(job.number)
            held.append(job)
            if len(held) == 2:
                yield from map(self._reply, reversed(held))
                held = []
        yield from map(self._reply, held)

    def _reply(self, job: PlainJob) -> Reply[PlainJob]:
        if job.number in self._fails:
            return Reply(job, error="busy")
        return Reply(job, {"double": job.number * 2})


def lake_at(bucket: S3Location, flush: int = 3) -> Lake:
    place = {"endpoint_url": bucket.endpoint_url, "path_style": True, "journal_flush_seconds": 30}
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", journal_flush_answers=flush, **place))


def cached(lake: Lake, engine: Callable[[Iterable[J]], Iterator[Reply[J]]], jobs: Iterable[J]) -> list[Reply[J]]:
    with Journal(lake, FIRST) as journal:
        return list(replies_with_cache(engine, jobs, ResponseCache(journal, ME)))


def run(lake: Lake, engine: Backwards, numbers: Iterable[int]) -> list[Reply[PlainJob]]:
    return cached(lake, engine, map(PlainJob, numbers))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 9), max_size=12), flush=st.integers(1, 5))
def test_replies_come_in_order_whatever_is_known(bucket: S3Location, numbers: list[int], flush: int) -> None:
    engine = Backwards()
    found = run(lake_at(bucket, flush), engine, numbers)
    assert [reply.job.number for reply in found] == numbers
    assert [reply.content for reply in found] == [{"double": number * 2} for number in numbers]
    assert sorted(engine.asked) == sorted(set(engine.asked)), "the same question was paid for twice"


def test_nothing_is_asked_twice_and_errors_are_not_kept(bucket: S3Location) -> None:
    lake, engine = lake_at(bucket), Backwards(frozenset({2}))
    first = run(lake, engine, range(5))
    assert [reply.error for reply in first] == [None, None, "busy", None, None]
    again = Backwards()
    assert [reply.content for reply in run(lake, again, range(6))][2] == {"double": 4}
    assert again.asked == [2, 5]


def test_a_stop_keeps_what_was_answered(bucket: S3Location) -> None:
    lake, engine = lake_at(bucket, 8), Backwards()
    with Journal(lake, FIRST) as journal:
        stream = replies_with_cache(engine, map(PlainJob, range(40)), ResponseCache(journal, ME))
        next(stream)
    asked = len(engine.asked)
    again = Backwards()
    run(lake, again, range(40))
    assert len(again.asked) >= 40 - asked
    assert set(engine.asked) & set(again.asked) <= set(engine.asked[-2:]), "only what was in flight is asked again"


def test_replies_do_not_wait_for_the_flush(bucket: S3Location) -> None:
    lake, engine = lake_at(bucket, 64), Backwards()
    with Journal(lake, FIRST) as journal:
        stream = replies_with_cache(engine, map(PlainJob, range(40)), ResponseCache(journal, ME))
        for number in range(10):
            assert next(stream).content == {"double": number * 2}
        assert not list(lake.store.list_objects("journal/"))
        assert len(list(stream)) == 30
    assert len(list(lake.store.list_objects("journal/"))) == 1


def test_a_shard_of_a_thousand_answers_is_found_again_with_few_requests_and_no_engine(bucket: S3Location) -> None:
    lake = lake_at(bucket, 64)
    with Journal(lake, FIRST) as journal:
        first = list(replies_with_cache(Backwards(), map(PlainJob, range(1_000)), ResponseCache(journal, ME)))
    journal.compact()
    lake.store.calls.clear()

    def no_engine(jobs: Iterable[PlainJob]) -> Iterator[Reply[PlainJob]]:
        raise AssertionError("there is nothing to ask")

    with Journal(lake, FIRST) as journal:
        again = list(replies_with_cache(no_engine, map(PlainJob, range(1_000)), ResponseCache(journal, ME)))
    journal.compact()
    assert [reply.content for reply in again] == [reply.content for reply in first]
    assert lake.store.calls.total() <= 5


def test_floats_and_the_order_of_keys_are_those_of_a_rerun(bucket: S3Location) -> None:
    def odd(jobs: Iterable[PlainJob]) -> Iterator[Reply[PlainJob]]:
        yield from (Reply(job, {"b": 1e22, "a": (0.1, 2)}, {"text": "raw"}) for job in jobs)

    lake = lake_at(bucket)
    (first,), (again,) = (cached(lake, odd, [PlainJob(1)]) for _ in range(2))
    assert repr(first) == repr(again)
    assert first.raw_response is None


def test_another_prompt_is_another_question(bucket: S3Location) -> None:
    journal = Journal(lake_at(bucket), FIRST)
    other = Identity(ME.model, ME.revision, {"prompt": "look harder"})
    assert ResponseCache(journal, ME).key(PlainJob(1)) != ResponseCache(journal, other).key(PlainJob(1))


def test_a_blind_question_is_bought_for_each_photo(bucket: S3Location) -> None:
    lake, asked = lake_at(bucket), list[str]()
    photos = [Photo(name, f"{n:064x}", 1, 1, bytes) for n, name in enumerate("ab")]
    jobs = [SolveJob(photo, "How many?", 0, sees) for photo in photos for sees in (True, False)]

    def solve(jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        for job in jobs:
            asked.append(job.photo.image_id)
            yield Reply(job, {"text": f"{job.photo.image_id} {job.with_image}"})

    for _ in range(2):
        told = [reply.content for reply in cached(lake, solve, jobs)]
        assert told == [{"text": f"{job.photo.image_id} {job.with_image}"} for job in jobs]
        assert asked == ["a", "a", "b", "b"]
