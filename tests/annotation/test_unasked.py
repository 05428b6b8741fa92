"""Which queries are in no batch, on a real S3 server; and what that costs when nothing, or one shard, is new."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.eligibility import excluded_queries_of_lineage
from hopchain_etl.annotation.unasked import all_batches_asking, batches_asking, not_asked, unassigned_queries
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Shard
from hopchain_etl.settings import LakeSettings
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in
from support.s3 import S3Location

pytestmark = pytest.mark.s3

LINEAGE = "0123456789ab"


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def shard(lake: Lake, number: int, queries: int = 3) -> list[str]:
    """Write a shard of queries about one photo each; return their ids in order."""
    rows: list[dict[str, Any]] = [
        {"query_id": name(f"{number} {row}"), "image_id": name(f"photo {number} {row}"), "question": "How many?"}
        for row in range(queries)
    ]
    drawn_lake.write(lake, "queries", LINEAGE, Shard("in", number), rows)
    return [row["query_id"] for row in rows]


def unasked(lake: Lake, besides: str = "") -> dict[str, list[str]]:
    excluded = excluded_queries_of_lineage(lake, LINEAGE)
    return {str(at): ids for at, ids in unassigned_queries(lake, LINEAGE, excluded, besides=besides).items()}


def test_what_is_in_no_batch_comes_by_shard_in_order(lake: Lake) -> None:
    first, second = shard(lake, 1), shard(lake, 0)
    assert list(unasked(lake).items()) == [("in/0000", second), ("in/0001", first)]
    batches.create(lake, Batch("monday", "run", (first[1], *second)))
    batches.close(lake, "monday", by="lead")
    assert unasked(lake) == {"in/0001": [first[0], first[2]]}
    assert unasked(lake, besides="monday") == {"in/0000": second, "in/0001": first}
    lake.write_tombstone(name("photo 1 0"), reason="asked to", blob_sha=None)
    assert unasked(lake) == {"in/0001": [first[2]]}
    changed = shard(lake, 1, queries=5)
    assert unasked(lake) == {"in/0001": changed[2:]}
    assert not_asked(lake, first, ()) == [first[0], first[2]]
    assert not_asked(lake, first, ("monday",)) == first


def test_a_withdrawn_name_that_is_no_id_of_a_photo_withdraws_no_other_one(lake: Lake) -> None:
    row = {"query_id": name("0 0"), "image_id": "by hand", "question": "How many?"}
    drawn_lake.write(lake, "queries", LINEAGE, Shard("in", 0), [row])
    lake.write_tombstone("another name", reason="asked to", blob_sha=None)
    assert unasked(lake) == {"in/0000": [row["query_id"]]}


def test_what_the_judge_rejected_is_held_back_with_its_reason(lake: Lake) -> None:
    first, second = shard(lake, 0), shard(lake, 1)
    lake.put_json("lineages/ba9876543210.json", {"stage": "judge", "upstream": LINEAGE})
    place = "judgements", "ba9876543210", Shard("in", 0)
    reasons = ("judged_ambiguous", "judged_fine", "another")  # the last excludes nothing
    rows = [{"reason": reason, "input_id": query} for reason, query in zip(reasons, first, strict=True)]
    part = lake.write_part(lake.folder(*place), "rejects", pa.Table.from_pylist(rows, schema=schemas.REJECTS))
    lake.write_marker(*place, Marker((), (part,), read=3, ok=0, rejected=3, failed=0))
    assert unasked(lake) == {"in/0000": first[2:], "in/0001": second}
    excluded = excluded_queries_of_lineage(lake, LINEAGE)
    assert excluded.reasons() == {"judged_ambiguous": 1, "judged_fine": 1}
    assert excluded.shards == {Shard("in", 0), Shard("in", 1)}


def test_only_what_is_new_is_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hopchain_etl.lake.lake._WITHDRAWN_SECONDS", 0)  # always read, however slow the machine is

    def requests(new: int) -> int:
        """Return the requests after ``new`` more shards, all of which but the last are then asked."""
        nonlocal count
        for number in range(count, count + new):
            ids = shard(lake, number)
            if number < count + new - 1:
                batches.create(lake, Batch(f"b{number:03}", "run", tuple(ids)))
        count += new
        lake.manifest("queries", LINEAGE).fold()
        before = sum(lake.store.calls.values())
        assert unasked(lake)
        return sum(lake.store.calls.values()) - before

    count = 0
    requests(3)
    few = requests(0), requests(1)
    requests(40)
    many = requests(0), requests(1)
    assert many == few
    assert many[1] <= 20


def test_a_batch_that_cannot_be_read_any_more_stops_nobody_and_stays_asked(lake: Lake) -> None:
    first = shard(lake, 0)
    batches.create(lake, Batch("monday", "run", tuple(first[:2])))
    assert unasked(lake) == {"in/0000": first[2:]}
    intact = lake.store.get("batches/monday.json")
    for junk in (b"{", b"[]", intact.replace(first[0].encode(), b"no query")):
        lake.store.put("batches/monday.json", junk)
        for besides in ("", "monday", "another"):
            expected = first if besides == "monday" else first[2:]
            assert unasked(lake, besides) == {"in/0000": expected}
    second = shard(lake, 1)
    batches.create(lake, Batch("tuesday", "run", tuple(second[:2])))
    assert unasked(lake) == {"in/0000": first[2:], "in/0001": second[2:]}
    lake.store.put("batches/monday.json", intact)
    assert unasked(lake) == {"in/0000": first[2:], "in/0001": second[2:]}


def test_a_batch_that_never_could_be_read_lets_nothing_be_asked_twice(lake: Lake) -> None:
    shard(lake, 0)
    lake.store.put("batches/broken.json", b"{")
    with pytest.raises(LakeError, match="broken"):
        unasked(lake)


def test_of_several_batches_that_ask_a_query_the_last_one_is_named() -> None:
    lake = lake_in(MemoryStore())
    first, second, third = name("1"), name("2"), name("3")
    for batch, asked in {"b": (first, second), "a": (first,), "c": (second,)}.items():
        batches.create(lake, Batch(batch, "run", asked))
    assert batches_asking(lake, [first, second, third, "no id"]) == {first: "b", second: "c"}
    assert all_batches_asking(lake, [first, third]) == {first: {"a", "b"}}
