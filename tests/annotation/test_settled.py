"""What became of settled batches, on a real S3 server."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.annotation.withdrawn import withdrawn_of_batches
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import LakeSettings
from support import drawn_lake
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
    lake.store.delete(["annotators/x.voided.json"])
    batches.clear_decided(lake, "monday")
    collect(lake, lambda table, rows: SuiteResult(rows.num_rows), settled=True)
    batches.mark_decided(lake, "monday", {"again": True})
    found = settled_batches(lake)["monday"]
    assert (found.kept, found.dropped, found.open, found.answers, found.voided) == (1, 1, 1, 7, 0)


def test_a_batch_that_cannot_be_read_is_left_out_until_it_can(lake: Lake) -> None:
    for name in ("bad", "good"):
        batches.create(lake, Batch(name, "run", (A,)))
        batches.mark_decided(lake, name, {})
    intact = lake.store.get("batches/bad.json")
    lake.store.put("batches/bad.json", b"{")
    assert list(settled_batches(lake)) == ["good"]
    lake.store.put("batches/bad.json", intact)
    assert list(settled_batches(lake)) == ["bad", "good"]


LINEAGE, SHARDS = "0123456789ab", 80


def name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def local(folder: Path) -> Lake:
    return Lake(LakeSettings(uri=f"file://{folder}/lake"))


def history(lake: Lake, *, named: bool, photos: int = 4) -> None:
    """Write a batch for each of 80 shards, in which the first of four photos is withdrawn; ``named``: it says which."""
    for number in range(SHARDS):
        rows = [{"query_id": name(f"{number} {n}"), "image_id": name(f"photo {number} {n}")} for n in range(photos)]
        drawn_lake.write(
            lake, "queries", LINEAGE, shard := Shard("in", number), [{**row, "question": ""} for row in rows]
        )
        ids = tuple(row["query_id"] for row in rows)
        shards = (str(shard),) if named else ()
        batches.create(lake, Batch(f"b{number:03}", "run", ids, lineage=LINEAGE, shards=shards))
        lake.write_tombstone(rows[0]["image_id"], reason="asked", blob_sha=None)
    lake.manifest("queries", LINEAGE).fold()


@contextmanager
def reads(lake: Lake) -> Iterator[Counter[str]]:
    """Yield how often each object is read meanwhile."""
    found: Counter[str] = Counter()
    get = lake.store.get

    def counted(key: str) -> bytes:
        found[key] += 1
        return get(key)

    lake.store.get = counted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        del lake.store.get  # type: ignore[method-assign]


@pytest.mark.parametrize("named", [True, False])
def test_the_first_view_of_a_long_history_holds_its_queries_once(tmp_path: Path, named: bool) -> None:
    """For each batch of an earlier version, all queries of its lineage were read, 16 times at once: gigabytes."""
    lake = local(tmp_path)
    history(lake, named=named)
    for number in range(SHARDS):
        batches.mark_decided(lake, f"b{number:03}", {})
    before = lake.store.calls.total()
    with reads(lake) as read:
        found = settled_batches(lake)
    assert {(one.open, one.withdrawn, one.voided, one.full_sample) for one in found.values()} == {(3, 1, 0, 0)}
    assert len(found) == SHARDS
    assert {read[key] for key in read if key.startswith("views/")} == {1}
    own = 3  # of a batch: itself, its record, and its marker, which is not there
    assert max(read.values()) <= 2, "a shard is read for itself or for the view"
    assert lake.store.calls.total() - before <= own * SHARDS + SHARDS + 64 * named + 20


@pytest.mark.parametrize("named", [True, False])
def test_open_batches_of_a_long_history_hold_their_queries_once(tmp_path: Path, named: bool) -> None:
    lake = local(tmp_path)
    history(lake, named=named)
    with reads(lake) as read:
        found = withdrawn_of_batches(lake, batches.listed(lake).values())
    assert found == {name(f"{number} 0"): name(f"photo {number} 0") for number in range(SHARDS)}
    assert {read[key] for key in read if key.startswith("views/")} == {1}
    lake.write_tombstone(name("photo 3 1"), reason="asked", blob_sha=None)
    found = withdrawn_of_batches(lake, batches.listed(lake).values())
    assert found[name("3 1")] == name("photo 3 1"), "also of batches that were looked at before"


def test_one_broken_shard_of_a_long_history_hides_no_photo_of_the_others(tmp_path: Path) -> None:
    lake = local(tmp_path)
    history(lake, named=True)
    part = next(one.key for one in lake.store.list_objects(f"queries/{LINEAGE}/intake=in/shard=0070/part"))
    lake.store.put(part, b"damaged")
    with reads(lake) as read:
        found = withdrawn_of_batches(lake, batches.listed(lake).values())
    assert found.keys() == {name(f"{number} 0") for number in range(SHARDS) if number != 70}
    assert read[part] == 2, "for the whole lineage, which is not tried again, and for its own batch"


def test_batches_that_name_no_shards_are_read_again_when_a_broken_one_is_whole(tmp_path: Path) -> None:
    lake = local(tmp_path)
    history(lake, named=False)
    part = next(one.key for one in lake.store.list_objects(f"queries/{LINEAGE}/intake=in/shard=0070/part"))
    whole = lake.store.get(part)
    lake.store.put(part, b"damaged")
    assert withdrawn_of_batches(lake, batches.listed(lake).values()) == {}
    lake.store.put(part, whole)
    found = withdrawn_of_batches(lake, batches.listed(lake).values())
    assert found.keys() == {name(f"{number} 0") for number in range(SHARDS)}
