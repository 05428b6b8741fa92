"""What became of settled batches, on a real S3 server."""

from __future__ import annotations

import hashlib

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import LakeSettings
from support.s3 import S3Location

pytestmark = pytest.mark.s3

A, B, C = (hashlib.sha256(name.encode()).hexdigest() for name in "ABC")


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def test_a_settled_batch_is_read_once(lake: Lake) -> None:
    def settled(first: int, last: int) -> None:
        for number in range(first, last):
            batches.create(lake, Batch(f"b{number:03}", "run", (A, B, C), lineage="0123456789ab"))
            batches.mark_decided(lake, f"b{number:03}", {})

    def requests() -> int:
        before = sum(lake.store.calls.values())
        assert settled_batches(lake)
        return sum(lake.store.calls.values()) - before

    settled(0, 3)
    first, again = requests(), requests()
    assert again < first
    settled(3, 30)
    requests()
    assert requests() == again <= 3


def test_counts_come_from_the_answers(lake: Lake) -> None:
    batches.create(lake, Batch("monday", "run", (A, B, C), {"seats": 4, "full_share": 1}, lineage="0123456789ab"))
    for query, answers in ((A, "5555"), (B, "56"), (C, "5")):
        for seat, answer in enumerate(answers, start=1):
            body = {"query_id": query, "seat": seat, "rev": 1, "annotator": f"ann{seat}", "answer": answer}
            lake.put_json(vote_key("monday", query, seat, 1), {**body, "answered_at": "2026-11-22T10:00:00Z"})
    lake.put_json("annotators/x.voided.json", {"annotator": "ann3", "by": "lead", "reason": "guesses"})
    collect(lake, lambda table, rows: SuiteResult(rows.num_rows))
    assert settled_batches(lake) == {}
    batches.mark_decided(lake, "monday", {})
    found = settled_batches(lake)["monday"]
    assert (found.kept, found.dropped, found.open, found.answers, found.queries) == (0, 1, 2, 6, 3)
    assert found.annotators == {"ann1": 3, "ann2": 2, "ann4": 1}
    assert (found.voided, found.full_sample) == (1, 3)


def test_a_batch_that_cannot_be_read_is_left_out_until_it_can(lake: Lake) -> None:
    for name in ("bad", "good"):
        batches.create(lake, Batch(name, "run", (A,)))
        batches.mark_decided(lake, name, {})
    intact = lake.store.get("batches/bad.json")
    lake.store.put("batches/bad.json", b"{")
    assert list(settled_batches(lake)) == ["good"]
    lake.store.put("batches/bad.json", intact)
    assert list(settled_batches(lake)) == ["bad", "good"]
