"""What people are still asked, on a real S3 server after a real collect."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect
from hopchain_etl.annotation.open_questions import open_questions
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.settings import LakeSettings, QualitySettings
from support.s3 import S3Location

A, B, C = (hashlib.sha256(name.encode()).hexdigest() for name in "ABC")

pytestmark = pytest.mark.s3


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def vote(lake: Lake, batch: str, query: str, seat: int, answer: str) -> None:
    said = {"query_id": query, "seat": seat, "rev": 1, "annotator": f"person {seat}", "answer": answer}
    body = {**said, "seconds": 4.5, "answered_at": f"2026-11-22T10:00:{seat:02}Z", "batch": batch}
    lake.put_json(vote_key(batch, query, seat, 1), body)


def test_nothing_is_asked_in_an_empty_lake(lake: Lake) -> None:
    asked = open_questions(lake)
    assert (asked.batches, asked.questions, asked.seats, asked.oldest_seconds, asked.alpha) == (0, 0, 0, 0.0, None)


def test_open_batches_are_added_up(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, queries in {"one": (A, B), "two": (C,), "over": (hashlib.sha256(b"D").hexdigest(),)}.items():
        batches.create(lake, Batch(name, "a run", queries))
    batches.close(lake, "over", by="lead")
    for seat, answer in ((1, "7"), (2, "7")):
        vote(lake, "one", A, seat, answer)  # agreed so far: two seats are open
    for seat, answer in ((1, "7"), (2, "8"), (3, "9")):
        vote(lake, "one", B, seat, answer)  # dropped by the second: nobody else is asked
    collect(lake, make_validator(QualitySettings()))
    later = (datetime.now(UTC) + timedelta(days=1)).timestamp()
    monkeypatch.setattr(lake.store, "now", lambda: later)
    asked = open_questions(lake)
    assert (asked.batches, asked.questions, asked.seats) == (2, 2, 2 + 4)
    assert 86_000 < asked.oldest_seconds < 87_000
    assert asked.alpha == pytest.approx(1 - 3 * 2 / 6)  # pairs 7-7 and 7-8


def test_the_oldest_of_open_batches_counts(tmp_path: Path) -> None:
    lake = Lake(LakeSettings(uri=tmp_path.as_uri()))
    for name, query in {"old": A, "new": B}.items():
        batches.create(lake, Batch(name, "a run", (query,)))
    day_before = time.time() - 86_400
    os.utime(tmp_path / "batches/old.json", (day_before, day_before))
    assert 86_000 < open_questions(lake).oldest_seconds < 87_000


def test_a_batch_that_cannot_be_read_is_left_out(lake: Lake) -> None:
    batches.create(lake, Batch("good", "a run", (A,)))
    lake.store.put("batches/bad.json", json.dumps({"id": "bad"}).encode())
    assert open_questions(lake).questions == 1
