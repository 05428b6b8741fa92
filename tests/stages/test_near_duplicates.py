"""The index of known images, against a plain loop over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopchain_etl import schemas
from hopchain_etl.stages.near_duplicates import ImageIndex

DISTANCES = st.sampled_from([3, 6, 9, 14])  # no flip in a part, one, two, and every hash
# Few bits and few groups, so that hits, ties and bridges are common. Bit 63 tries the sign.
hashes = st.integers(0, 255).map(lambda bits: (bits & 0x7F) | (bits >> 7 << 63))
far = st.integers(0, 2**64 - 1)
entries = st.lists(st.tuples(hashes, st.sampled_from("abcdef")), max_size=200)


def row(number: int, phash: int, group: str) -> dict[str, Any]:
    names = {"image_id": f"i{number}", "blob_sha": f"b{number}", "uri": f"s3://x/{number}"}
    return {**names, "phash": f"{phash:016x}", "group": group}


def loop(known: list[tuple[int, str]], phash: int, distance: int) -> tuple[str, list[str]]:
    hits = sorted(((other ^ phash).bit_count(), group) for other, group in known)
    hits = [hit for hit in hits if hit[0] <= distance]
    if not hits:
        return "new", []
    return hits[0][1], sorted({group for _, group in hits} - {hits[0][1]})


@pytest.fixture(params=[2, 4_096])
def least_packed(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From how many images on they are sorted: almost all of them, or none."""
    monkeypatch.setattr("hopchain_etl.stages.near_duplicates._LEAST_PACKED", request.param)


@pytest.mark.usefixtures("least_packed")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, entries, st.tuples(hashes, far, st.sets(st.integers(0, 63), max_size=15)), DISTANCES)
def test_placing_agrees_with_a_loop(
    below: list[tuple[int, str]], above: list[tuple[int, str]], drawn: tuple[int, int, set[int]], distance: int
) -> None:
    near, other, flipped = drawn
    above = [*above, (other, "x")]
    base = ImageIndex(distance)
    for number, entry in enumerate(below):
        base.add(row(number, *entry))
    known = ImageIndex(distance, below=base)
    for number, entry in enumerate(reversed(above), len(below)):
        known.add(row(number, *entry))
    for phash in (near, other ^ sum(1 << bit for bit in flipped)):
        assert known.assign_group("new", f"{phash:016x}") == loop(below + above, phash, distance)
        assert base.assign_group("new", f"{phash:016x}") == loop(below, phash, distance)


@pytest.mark.usefixtures("least_packed")
def test_sameness_is_of_source_bytes_or_blob() -> None:
    base = ImageIndex(3)
    for number in (1, 4, 5, 6):
        base.add(row(number, 0, "a"))
    known = ImageIndex(3, below=base)
    known.add(row(2, 0, "a"))
    assert known.find_duplicate("i1", "b2") == "s3://x/1"
    assert known.find_duplicate("other", "b1") == "s3://x/1"
    assert known.find_duplicate("i2", "other") == "s3://x/2"
    assert known.find_duplicate("other", "another") is None
    assert base.find_duplicate("i2", "b2") is None


@pytest.mark.usefixtures("least_packed")
def test_a_row_added_twice_keeps_its_first_place() -> None:
    known = ImageIndex(3)
    known.add(row(1, 0, "a"))
    known.add({**row(1, 0, "z"), "uri": "elsewhere"})
    assert known.find_duplicate("i1") == "s3://x/1"
    assert known.assign_group("new", "0" * 16) == ("a", [])


@pytest.mark.usefixtures("least_packed")
def test_the_first_of_two_photos_with_one_blob_is_named() -> None:
    known = ImageIndex(3)
    for number in range(1, 6):
        known.add({**row(number, 0, "a"), "blob_sha": "same"})
    assert known.find_duplicate("same") == "s3://x/1"


@pytest.mark.usefixtures("least_packed")
def test_a_table_is_added_whole() -> None:
    rows = [row(n, n << 32, f"g{n}") for n in range(70)]
    table = pa.Table.from_pylist(rows, schema=pa.schema([schemas.IMAGES.field(name) for name in rows[0]]))
    known = ImageIndex(0)
    known.extend(table)
    assert [known.assign_group("new", one["phash"])[0] for one in rows] == [one["group"] for one in rows]


def test_of_many_images_few_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hopchain_etl.stages.near_duplicates._LEAST_PACKED", 2)
    drawn = np.random.default_rng(1).integers(0, 2**64, 3_500, np.uint64).tolist()
    rows = [row(number, phash, f"g{number}") for number, phash in enumerate(drawn[:3_000])]
    known = ImageIndex(6)
    known.extend(pa.Table.from_pylist(rows))
    compared = 0

    def counted(hashes: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += len(hashes)
        return bitwise_count(hashes)

    bitwise_count = np.bitwise_count
    monkeypatch.setattr(np, "bitwise_count", counted)
    for phash in drawn[2_500:3_500]:
        known.assign_group("new", f"{phash:016x}")
    assert 500 <= compared < 1_000 * len(rows) / 100, "half of them are there, and one in several hundred is near"
