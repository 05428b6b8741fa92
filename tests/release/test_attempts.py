"""What models said of a shard is found without looking through the whole snapshot."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.attempts import AttemptReader, condemned
from hopchain_etl.release.inputs import Inputs

SHARDS = 400


class CountedEntries(list[dict[str, Any]]):
    """The entries of a snapshot, and how often somebody went through all of them."""

    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()


class StoredVerdicts(Inputs):
    """Inputs whose judgements name the shard that they are from."""

    def read(self, table: str, fingerprint: str | None, shard: Shard, columns: Any = None) -> pa.Table:
        rows = [{"query_id": str(shard), "model": "m", "verdict": "ambiguous", "reason": ""}]
        return pa.Table.from_pylist(rows if table == "judgements" else [], schema=schemas.TABLES[table])


def test_the_entries_of_a_snapshot_are_indexed_once() -> None:
    entries = CountedEntries(
        {"table": table, "fingerprint": "ab" * 6, "shard": str(Shard("first", index)), "parts": []}
        for table in ("queries", "attempts", "judgements")
        for index in range(SHARDS)
    )
    inputs = StoredVerdicts({"pseudonyms": None, "inputs": entries}, lake=None)  # type: ignore[arg-type]
    reader = AttemptReader({"screened": []}, inputs, "default")
    for shard in inputs.shards("queries", "ab" * 6):
        assert condemned(inputs, shard) == {str(shard): "ambiguous"}
        reader.of(shard)
    assert condemned(inputs, Shard("second", 0)) == {}
    assert inputs.fingerprints("judgements") == ["ab" * 6]
    assert entries.walks == 1
