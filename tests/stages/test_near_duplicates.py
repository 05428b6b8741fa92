"""The index of known images, against a plain loop over all of them."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl import schemas
from hopchain_etl.stages.near_duplicates import ImageIndex

DISTANCE = 3
# Few bits and few groups, so that hits, ties and bridges are common. Bit 63 tries the sign.
hashes = st.integers(0, 255).map(lambda bits: (bits & 0x7F) | (bits >> 7 << 63))
entries = st.lists(st.tuples(hashes, st.sampled_from("abcdef")), max_size=200)


def row(number: int, phash: int, group: str) -> dict[str, Any]:
    names = {"image_id": f"i{number}", "blob_sha": f"b{number}", "uri": f"s3://x/{number}"}
    return {**names, "phash": f"{phash:016x}", "group": group}


def loop(known: list[tuple[int, str]], phash: int) -> tuple[str, list[str]]:
    hits = sorted(((other ^ phash).bit_count(), group) for other, group in known)
    hits = [hit for hit in hits if hit[0] <= DISTANCE]
    if not hits:
        return "new", []
    return hits[0][1], sorted({group for _, group in hits} - {hits[0][1]})


@given(entries, entries, hashes)
def test_placing_agrees_with_a_loop(below: list[tuple[int, str]], above: list[tuple[int, str]], phash: int) -> None:
    base = ImageIndex(DISTANCE)
    for number, entry in enumerate(below):
        base.add(row(number, *entry))
    known = ImageIndex(DISTANCE, below=base)
    for number, entry in enumerate(reversed(above), len(below)):
        known.add(row(number, *entry))
    assert known.assign_group("new", f"{phash:016x}") == loop(below + above, phash)
    assert base.assign_group("new", f"{phash:016x}") == loop(below, phash)


def test_sameness_is_of_source_bytes_or_blob() -> None:
    base = ImageIndex(DISTANCE)
    base.add(row(1, 0, "a"))
    known = ImageIndex(DISTANCE, below=base)
    known.add(row(2, 0, "a"))
    assert known.find_duplicate("i1", "b2") == "s3://x/1"
    assert known.find_duplicate("other", "b1") == "s3://x/1"
    assert known.find_duplicate("i2", "other") == "s3://x/2"
    assert known.find_duplicate("other", "another") is None
    assert base.find_duplicate("i2", "b2") is None


def test_a_row_added_twice_keeps_its_first_place() -> None:
    known = ImageIndex(DISTANCE)
    known.add(row(1, 0, "a"))
    known.add({**row(1, 0, "z"), "uri": "elsewhere"})
    assert known.find_duplicate("i1") == "s3://x/1"
    assert known.assign_group("new", "0" * 16) == ("a", [])


def test_a_table_is_added_whole() -> None:
    rows = [row(n, n << 32, f"g{n}") for n in range(70)]
    table = pa.Table.from_pylist(rows, schema=pa.schema([schemas.IMAGES.field(name) for name in rows[0]]))
    known = ImageIndex(0)
    known.extend(table)
    assert [known.assign_group("new", one["phash"])[0] for one in rows] == [one["group"] for one in rows]


@pytest.mark.slow
def test_a_hundred_thousand_images_are_compared_in_milliseconds() -> None:
    known = ImageIndex(6)
    for number in range(100_000):
        known.add(row(number, number * 0x9E3779B97F4A7C15 % 2**64, f"i{number}"))
    start = time.process_time()
    for number in range(100):
        known.assign_group("new", f"{number:016x}")
    assert time.process_time() - start < 2  # 20 ms each on a busy machine; it takes 0.3 ms on an idle one
