"""Rows come out in their order, in tables of one size, as soon as one is full."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.release.row_cutting import RowCutter, cut_rows

SCHEMA = pa.schema([("number", pa.int64())])


def tables(sizes: list[int]) -> list[pa.Table]:
    """Return tables of so many rows, which are numbered from 0 on."""
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    return [pa.table([range(end - size, end)], schema=SCHEMA) for size, end in zip(sizes, ends, strict=True)]


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_all_tables_but_the_last_have_the_size(sizes: list[int], size: int) -> None:
    found = [table["number"].to_pylist() for table in cut_rows(tables(sizes), SCHEMA, size)]
    numbers = list(range(sum(sizes)))
    assert found == [numbers[start : start + size] for start in range(0, len(numbers), size)]


@pytest.mark.parametrize(("first", "second", "full"), [(3, 1, [0, 1]), (4, 4, [1, 1]), (1, 7, [0, 2]), (9, 0, [2, 0])])
def test_a_table_comes_out_as_soon_as_it_is_full(first: int, second: int, full: list[int]) -> None:
    cutter = RowCutter(SCHEMA, 4)
    assert [len(list(cutter.add(table))) for table in tables([first, second])] == full
    left = (first + second) % 4
    assert [table.num_rows for table in cutter.rest()] == ([left] if left else [])
