"""What a shard's rows have become while they are processed, in a fraction of the memory of Python objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas

Row = dict[str, Any]
_PACK = 256  # maximum number of rows held as Python objects


class RowBuffer:
    """Buffer that converts rows to Arrow in chunks, which needs a fraction of the memory."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._packed: list[pa.Table] = [schema.empty_table()]
        self._loose: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows; raises pyarrow.ArrowException (at the latest in ``table``) if one does not match the schema."""
        self._loose += rows
        if len(self._loose) >= _PACK:
            self._pack()

    def table(self) -> pa.Table:
        """Return all rows, in insertion order."""
        self._pack()
        return pa.concat_tables(self._packed).combine_chunks()

    def _pack(self) -> None:
        self._packed.append(pa.Table.from_pylist(self._loose, schema=self._schema))
        self._loose = []


@dataclass
class ShardResult:
    """Intermediate results and counts of a shard."""

    rows: RowBuffer
    origins: list[int] = field(default_factory=list)  # index of the input row of each output row
    rejects: RowBuffer = field(default_factory=lambda: RowBuffer(schemas.REJECTS))
    reject_origins: list[int] = field(default_factory=list)  # likewise, of each reject
    reasons: Counter[str] = field(default_factory=Counter)
    failed: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    quarantined: set[int] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)  # by input_id, of rows that failed permanently so far
    tokens: int = 0
    paid: int = 0  # rows with new model calls, not answered from the cache
    seconds: float = 0.0  # of model time

    @property
    def settled(self) -> set[int]:
        """The input rows that are not ok."""
        return self.rejected | self.failed | self.quarantined

    def add_rows(self, index: int, rows: Sequence[Row]) -> None:
        """Add output rows of an input row."""
        self.rows.add(rows)
        self.origins += [index] * len(rows)

    def add_rejects(self, index: int, *rejects: Row) -> None:
        """Add reject rows of an input row and count their reasons."""
        self.reasons.update(row["reason"] for row in rejects)
        self.reject_origins += [index] * len(rejects)
        self.rejects.add(rejects)

    def rejects_in_order(self) -> pa.Table:
        """Return all reject rows in the order of the input rows, so that a row that is carried over keeps its place."""
        order = sorted(range(len(self.reject_origins)), key=self.reject_origins.__getitem__)
        return self.rejects.table().take(pa.array(order, pa.int64()))
