"""Rows of a shard are held as Arrow and not as Python objects, and come back in order."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.stages import shard_result
from hopchain_etl.stages.shard_result import RowBuffer


class Counted(dict[str, Any]):
    """A row that counts how many there are."""

    alive = 0

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        Counted.alive += 1

    def __del__(self) -> None:
        Counted.alive -= 1


def test_few_rows_are_held_as_objects_and_all_are_kept_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_result, "_PACK", 10)
    buffer = RowBuffer(pa.schema([("n", pa.int64())]))
    held = []
    for n in range(0, 40, 2):
        buffer.add(Counted(n=number) for number in (n, n + 1))
        held.append(Counted.alive)
    assert held == [2, 4, 6, 8, 0] * 4
    assert buffer.table().to_pydict() == {"n": [*range(40)]}
    buffer.add([{"n": 40}])
    assert buffer.table().num_rows == 41
