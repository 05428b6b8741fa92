"""A lead chooses among the queries that nobody was asked: by photo, program and band; only what is new is read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.choice import NO_BAND, Choice, bands_of, chosen, counts
from hopchain_etl.annotation.eligibility import excluded_queries_of_lineage
from hopchain_etl.annotation.unasked import by_shard, unasked_rows
from hopchain_etl.hops.calibration import Thresholds
from hopchain_etl.lake.lake import Lake, Shard
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in

LINEAGE, SCREEN = "0123456789ab", "ba9876543210"
PHOTOS = ("0a" * 32, "0b" * 32, "ff" * 32)
PROGRAMS = (
    [("named", None, None), ("nearest", "h1", "count")],
    [("named", None, "number"), ("nearest", "h1", None), ("left_of", "h2", "number")],
    [("largest", None, "count")],
)
TEMPLATES = ("named nearest>:count", "named:number nearest> left_of>:number", "largest:count")


def query(photo: int, program: int) -> str:
    return f"{photo:x}{program}" * 32


def shard(lake: Lake, number: int = 0, right: int = 8) -> None:
    """Write a query for each photo and program; photo n's are solved ``right`` * n / 2 times of 8, and 2 not tried."""
    hops = [[dict(zip(("rel", "to", "read"), hop, strict=True)) for hop in program] for program in PROGRAMS]
    rows: list[dict[str, Any]] = [
        {"query_id": query(3 * number + place, program), "image_id": photo, "answer": "5", "hops": hops[program]}
        for place, photo in enumerate(PHOTOS)
        for program in range(3)
    ]
    drawn_lake.write(lake, "queries", LINEAGE, Shard("in", number), rows)
    tries = [
        {"query_id": row["query_id"], "sees_image": sees, "sample": sample, "answer": "5.0" if solved else None}
        for row in rows[:6]
        for sample in range(8)
        for sees, solved in ((True, sample * 2 < right * (row["image_id"] == PHOTOS[1])), (False, True))
    ]
    drawn_lake.write(lake, "attempts", SCREEN, Shard("in", number), tries)


@pytest.fixture
def lake() -> Lake:
    found = lake_in(MemoryStore())
    found.put_json(f"lineages/{SCREEN}.json", {"stage": "screen", "upstream": LINEAGE})
    found.put_json("lineages/aaaaaaaaaaaa.json", {"stage": "screen", "upstream": "another"})
    shard(found)
    return found


def unasked(lake: Lake) -> pa.Table:
    return unasked_rows(lake, LINEAGE, excluded_queries_of_lineage(lake, LINEAGE))


def names(lake: Lake, **how: Any) -> set[str]:
    rows = unasked(lake)
    bands = bands_of(lake, LINEAGE, rows["query_id"], Thresholds()) if "band" in how else None
    return {name for found in by_shard(chosen(rows, Choice(**how), bands)).values() for name in found}


ALL = {query(photo, program) for photo in range(3) for program in range(3)}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, ALL),
        ({"photos": (PHOTOS[1],)}, {query(1, program) for program in range(3)}),
        ({"photos": ("0a0a0a0", "ff")}, {query(photo, program) for photo in (0, 2) for program in range(3)}),
        ({"photos": ("0", PHOTOS[1])}, {query(photo, program) for photo in (0, 1) for program in range(3)}),
        ({"photos": ("0b0a",)}, set()),
        ({"template": TEMPLATES[2]}, {query(photo, 2) for photo in range(3)}),
        ({"rel": "nearest"}, {query(photo, program) for photo in range(3) for program in (0, 1)}),
        ({"read": "count"}, {query(photo, program) for photo in range(3) for program in (0, 2)}),
        ({"rel": "nearest", "read": "count", "hops": 2}, {query(photo, 0) for photo in range(3)}),
        ({"hops": 9}, set()),
        ({"band": "all_wrong"}, {query(0, program) for program in range(3)}),
        ({"band": "medium"}, {query(1, program) for program in range(3)}),
        ({"band": NO_BAND}, {query(2, program) for program in range(3)}),
        ({"band": "easy"}, set()),
        ({"band": "medium", "hops": 3, "photos": ("0b",)}, {query(1, 1)}),
    ],
)
def test_what_is_chosen_fits_all_conditions(lake: Lake, how: dict[str, Any], expected: set[str]) -> None:
    assert names(lake, **how) == expected


def test_bands_that_are_known_choose_nothing_if_none_is_wanted(lake: Lake) -> None:
    rows = unasked(lake)
    assert chosen(rows, Choice(), bands_of(lake, LINEAGE, rows["query_id"], Thresholds())) == rows


def test_only_what_is_in_no_batch_can_be_chosen_and_counted(lake: Lake) -> None:
    batches.create(lake, Batch("monday", "run", (query(0, 2), query(1, 0))))
    assert names(lake, template=TEMPLATES[2]) == {query(1, 2), query(2, 2)}
    rows = unasked(lake)
    assert counts(rows["template"]) == [(TEMPLATES[1], 3), (TEMPLATES[2], 2), (TEMPLATES[0], 2)]
    assert counts(bands_of(lake, LINEAGE, rows["query_id"], Thresholds()))[:2] == [(NO_BAND, 3), ("all_wrong", 2)]


def test_only_shards_that_are_new_are_read(lake: Lake) -> None:
    def requests() -> int:
        before = sum(lake.store.calls.values())
        names(lake, band="medium", rel="nearest")
        return sum(lake.store.calls.values()) - before

    def add(shards: range) -> None:
        for number in shards:
            shard(lake, number)
        for table, fingerprint in (("queries", LINEAGE), ("attempts", SCREEN)):
            lake.manifest(table, fingerprint).fold()

    add(range(1, 2))
    requests()
    few = requests()
    add(range(2, 5))
    assert requests() > few
    assert requests() == few


def test_where_nothing_was_attempted_there_are_no_bands(lake: Lake) -> None:
    lake.store.delete([entry.key for entry in lake.store.list_objects("attempts/")])
    assert names(lake, band=NO_BAND) == ALL
