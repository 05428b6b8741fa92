"""Cuts a stream of Arrow tables into tables of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


class RowCutter:
    """Collects tables of one schema and cuts them into tables of exactly ``size`` rows."""

    def __init__(self, schema: pa.Schema, size: int) -> None:
        self._size = size
        self._open = schema.empty_table()

    def add(self, table: pa.Table) -> Iterator[pa.Table]:
        """Add a table, and yield the tables that are full now."""
        self._open = pa.concat_tables([self._open, table])
        while self._open.num_rows >= self._size:
            full, self._open = self._open.slice(0, self._size), self._open.slice(self._size)
            yield full

    def rest(self) -> Iterator[pa.Table]:
        """Yield the remaining rows as one table, if there are any."""
        if self._open.num_rows:
            yield self._open


def cut_rows(tables: Iterable[pa.Table], schema: pa.Schema, size: int) -> Iterator[pa.Table]:
    """Yield the rows of ``tables`` in tables of ``size`` rows; the last one may have fewer."""
    cutter = RowCutter(schema, size)
    for table in tables:
        yield from cutter.add(table)
    yield from cutter.rest()
