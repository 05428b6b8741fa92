"""Answers are bought once, kept as they come, and handed on in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopchain_etl.engines.base import Identity, Photo, Reply, SolveJob, payload_hash
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import LakeSettings
from hopchain_etl.stages.response_cache import BLIND, ResponseCache, replies_with_cache
from support.plain_job import PlainJob
from support.s3 import S3Location

pytestmark = pytest.mark.s3
ME = Identity("org/model name", "1", {"prompt": "look"})


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


def lake_at(bucket: S3Location, name: str = "lake") -> Lake:
    uri = f"s3://{bucket.bucket}/{name}"
    return Lake(LakeSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def run(lake: Lake, engine: Backwards, numbers: Iterable[int], flush: int = 3) -> list[Reply[PlainJob]]:
    jobs = [PlainJob(number) for number in numbers]
    return list(replies_with_cache(engine, jobs, ResponseCache(lake, ME), writes=flush))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 9), max_size=12), flush=st.integers(1, 5))
def test_replies_come_in_order_whatever_is_known(bucket: S3Location, numbers: list[int], flush: int) -> None:
    engine = Backwards()
    found = run(lake_at(bucket), engine, numbers, flush)
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
    lake, engine = lake_at(bucket), Backwards()
    jobs = [PlainJob(number) for number in range(40)]
    stream = replies_with_cache(engine, jobs, ResponseCache(lake, ME), writes=8)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    asked = len(engine.asked)
    again = Backwards()
    run(lake, again, range(40))
    assert len(again.asked) >= 40 - asked
    assert set(engine.asked) & set(again.asked) <= set(engine.asked[-2:]), "only what was in flight is asked again"


def test_where_another_build_was_first_its_answer_counts(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    journal = ResponseCache(lake, ME)
    assert journal.put(journal.key(PlainJob(1)), {"double": "theirs"}) == {"double": "theirs"}
    assert journal.put(journal.key(PlainJob(1)), {"double": "mine"}) == {"double": "theirs"}


def test_another_prompt_is_another_question(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    other = Identity(ME.model, ME.revision, {"prompt": "look harder"})
    assert ResponseCache(lake, ME).key(PlainJob(1)) != ResponseCache(lake, other).key(PlainJob(1))
    assert ResponseCache(lake, ME).key(PlainJob(1)).startswith(f"journal/org_model_name/00/{1:064x}/")


def test_a_blind_question_is_bought_for_each_photo_and_old_answers_are_found(bucket: S3Location) -> None:
    lake, asked = lake_at(bucket), list[str]()
    photos = [Photo(name, f"{n:064x}", 1, 1, bytes) for n, name in enumerate("ab")]
    jobs = [SolveJob(photo, "How many?", 0, sees) for photo in photos for sees in (True, False)]

    def solve(jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        for job in jobs:
            asked.append(job.photo.image_id)
            yield Reply(job, {"text": f"{job.photo.image_id} {job.with_image}"})

    for _ in range(2):
        told = [reply.content for reply in replies_with_cache(solve, jobs, ResponseCache(lake, ME), writes=3)]
        assert told == [{"text": f"{job.photo.image_id} {job.with_image}"} for job in jobs]
        assert asked == ["a", "a", "b", "b"]
    other = Identity("other", "1")
    old = SolveJob(photos[0], "How many?", 1, with_image=False)
    lake.put_json(f"journal/other/{BLIND}/{payload_hash(other, old)}.json", {"text": "paid long ago"})
    assert [reply.content for reply in replies_with_cache(solve, [old], ResponseCache(lake, other), writes=3)] == [
        {"text": "paid long ago"}
    ]
