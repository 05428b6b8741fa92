"""What models said of a shard is found without looking through the whole snapshot."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.hops.calibration import AttemptScore
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.attempts import AttemptReader, GradedAttempts, ShardAttempts, condemned
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


def test_attempts_with_the_photo_without_it_and_held_out_are_graded_apart() -> None:
    said = {(True, False): ["3", "3.0", "4"], (False, False): ["3", None], (False, True): ["5", "3", "3", "3"]}
    rows = {
        ("q", "m", sees_image, 10 * held_out + sample): {
            "sees_image": sees_image, "held_out": held_out, "answer": answer
        }
        for (sees_image, held_out), answers in said.items()
        for sample, answer in enumerate(answers)
    }  # fmt: skip
    graded = ShardAttempts(rows).graded("q", Fraction(3))
    assert graded == GradedAttempts(AttemptScore(2, 3), AttemptScore(1, 2), AttemptScore(3, 4))
    nothing = AttemptScore(0, 0)
    assert ShardAttempts(rows).graded("another", Fraction(3)) == GradedAttempts(nothing, nothing, nothing)
