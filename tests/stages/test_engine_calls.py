"""Rows and their replies: together, in order, none left out, and kept where a stage is stopped half way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from hopchain_etl.engines.base import Identity, Photo, Reply, UnreadablePhotoError, is_permanent
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.engine_calls import call_engine, interpret_reply, photo_of, photos
from hopchain_etl.stages.runner import Failed, Rejected
from support.s3 import S3Location
from support.toy_build import settings_at

pytestmark = pytest.mark.s3

WHO = Identity("tester", "1")
FIRST = Shard("first", 0)


@dataclass(frozen=True)
class Ask:
    row: int
    part: int

    @property
    def photo(self) -> Photo:
        return Photo("", f"{self.row:064x}", 1, 1, bytes)

    @property
    def payload(self) -> dict[str, Any]:
        return {"row": self.row, "part": self.part}


class Engine:
    """Answers in pairs, the later one first, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[Ask] = []

    def __call__(self, jobs: Iterable[Ask]) -> Iterator[Reply[Ask]]:
        held: list[Ask] = []
        for job in jobs:
            self.seen.append(job)
            held.append(job)
            if len(held) == 2:
                yield from (self._reply(one) for one in reversed(held))
                held = []
        yield from map(self._reply, held)

    def _reply(self, job: Ask) -> Reply[Ask]:
        return Reply(job, {"got": [job.row, job.part]}, tokens=1)


def jobs_of(row: int) -> list[Ask]:
    return [Ask(row, part) for part in range(row % 4)]  # rows 0, 4, 8 have none


def lake_at(bucket: S3Location) -> Lake:
    return Lake(settings_at(bucket.bucket, bucket.endpoint_url).lake)


def test_rows_keep_their_order_and_their_replies(bucket: S3Location) -> None:
    for shard, rows in enumerate((range(10), [0], [0, 4], [], [4, 1, 0])):
        with Journal(lake_at(bucket), Shard("first", shard)) as journal:
            found = list(call_engine(journal, WHO, Engine(), rows, jobs_of))
        assert [row for row, _ in found] == list(rows)
        assert all([reply.job for reply in replies] == jobs_of(row) for row, replies in found)
        assert all(
            reply.content == {"got": [reply.job.row, reply.job.part]} for _, replies in found for reply in replies
        )


def test_one_engine_goes_over_what_another_writes(bucket: S3Location) -> None:
    with Journal(lake_at(bucket), FIRST) as journal:
        first = call_engine(journal, WHO, Engine(), range(20), jobs_of)
        second = call_engine(journal, Identity("reader", "1"), Engine(), first, lambda one: jobs_of(one[0] + 1))
        assert [(row, len(mine), len(others)) for (row, mine), others in second] == [
            (row, row % 4, (row + 1) % 4) for row in range(20)
        ]


@pytest.mark.parametrize("rows", [range(40), range(3), [3], []])
def test_jobs_that_follow_from_replies_go_to_the_same_engine(bucket: S3Location, rows: Sequence[int]) -> None:
    """Rows 3, 6, 9 have further jobs, also the last row; one that had none at first has none later."""
    engine = Engine()

    def further(row: int, replies: Sequence[Reply[Ask]]) -> list[Ask]:
        assert [reply.job for reply in replies] == jobs_of(row)
        return [Ask(row, 10), Ask(row, 11)] if row % 3 == 0 else []

    def all_of(row: int) -> list[Ask]:
        return jobs_of(row) + ([Ask(row, 10), Ask(row, 11)] if row % 3 == 0 and row % 4 else [])

    with Journal(lake_at(bucket), FIRST) as journal:
        found = list(call_engine(journal, WHO, engine, rows, jobs_of, further))
    assert [row for row, _ in found] == list(rows)
    assert all([reply.job for reply in replies] == all_of(row) for row, replies in found)
    assert sorted(engine.seen, key=str) == sorted((job for row in rows for job in all_of(row)), key=str)
    with Journal(lake_at(bucket), FIRST) as journal:
        again = Engine()
        assert len(list(call_engine(journal, WHO, again, rows, jobs_of, further))) == len(rows)
    assert not again.seen


def test_rows_go_on_although_none_has_further_jobs(bucket: S3Location) -> None:
    engine = Engine()
    with Journal(lake_at(bucket), FIRST) as journal:
        found = call_engine(journal, WHO, engine, range(100), jobs_of, lambda row, replies: ())
        for row in range(1, 20):
            next(found)
            assert max((one.row for one in engine.seen), default=0) <= row + 2


def silent(jobs: Iterable[Ask]) -> Iterator[Reply[Ask]]:
    """Takes every job and answers none."""
    yield from (Reply(job) for job in jobs if job.row < 0)


@pytest.mark.parametrize("engine", [silent, lambda jobs: iter(())])
def test_an_engine_that_leaves_jobs_without_a_reply_is_found_out(bucket: S3Location, engine: Any) -> None:
    with Journal(lake_at(bucket), FIRST) as journal, pytest.raises(AssertionError, match="left jobs without a reply"):
        list(call_engine(journal, WHO, engine, range(3), jobs_of))


def test_a_stop_keeps_what_both_have_answered(bucket: S3Location) -> None:
    lake = lake_at(bucket)

    def chain(journal: Journal, writer: Engine, reader: Engine) -> Iterator[Any]:
        first = call_engine(journal, WHO, writer, range(60), jobs_of)
        return call_engine(journal, Identity("reader", "1"), reader, first, lambda one: jobs_of(one[0]))

    writer, reader = Engine(), Engine()
    with Journal(lake, FIRST) as journal:
        half = chain(journal, writer, reader)
        for _ in range(30):
            next(half)
    again, reread = Engine(), Engine()
    with Journal(lake, FIRST) as journal:
        assert len(list(chain(journal, again, reread))) == 60
    assert len(again.seen) + len(writer.seen) <= 90 + 2, "a pair that was under way is asked again, no more"
    assert len(reread.seen) + len(reader.seen) <= 90 + 2
    assert len(writer.seen) >= 45


def test_what_a_reply_is_used_for() -> None:
    job = Ask(1, 0)
    assert interpret_reply(Reply(job, error="HTTP 503"), len) == Failed("HTTP 503")
    assert interpret_reply(Reply(job, error="HTTP 400", permanent=True), len) == Failed("HTTP 400", permanent=True)
    refused = interpret_reply(Reply(job, {"invalid": "not JSON", "raw": "Well"}), len)
    assert refused == Rejected("invalid_output", "not JSON", {"raw": "Well"})
    unread = interpret_reply(Reply(job, {"a": 1}), lambda content: content["b"])
    assert isinstance(unread, Rejected)
    assert unread.reason == "unreadable_answer"
    assert interpret_reply(Reply(job, {"a": 1}), len) == 1


def test_several_questions_of_a_photo_fetch_it_once(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    sha = hashlib.sha256(b"pixels").hexdigest()
    lake.put_blob(b"pixels", sha)
    photo_of = photos(lake)
    row = {"image_id": "p", "blob_sha": sha, "width": 4, "height": 3}
    assert [photo_of(row).load() for _ in range(5)] == [b"pixels"] * 5
    assert lake.store.calls["get"] == 1


def test_a_photo_whose_bytes_are_lost_or_damaged_is_no_passing_error(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    lake.store.put(f"blobs/{'b' * 64}", b"other pixels")
    for sha in ("a" * 64, "b" * 64):
        row = {"image_id": "p", "blob_sha": sha, "width": 4, "height": 3}
        for photo in (photo_of(lake, row), photos(lake)(row)):
            with pytest.raises(UnreadablePhotoError) as caught:
                photo.load()
            assert is_permanent(caught.value)
