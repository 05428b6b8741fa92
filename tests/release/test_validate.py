"""The last look at the rows of a release: all are counted, and any that fails stops it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl import schemas
from hopchain_etl.quality.validator import QualityError, SuiteResult
from hopchain_etl.release import validate
from hopchain_etl.release.validate import validate_rows
from support.training_sets import Row, training_row


def stored(folder: Path, *rows: Row) -> Path:
    (folder / "rows").mkdir()
    pq.write_table(
        pa.Table.from_pylist(list(rows), schema=schemas.TRAINING_ROWS), folder / "rows" / "train-00000.parquet"
    )
    return folder


def test_all_rows_are_counted_and_none_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "_ROWS_AT_ONCE", 2)
    seen: list[int] = []

    def suite(table: str, rows: pa.Table) -> SuiteResult:
        seen.append(rows.num_rows)
        return SuiteResult(rows.num_rows)

    folder = stored(tmp_path, *map(training_row, range(5)))
    told = validate_rows(folder, suite)
    assert (told["rows"], told["suite"], told["verify"]) == (5, {}, {})
    assert seen == [2, 2, 1]
    written = (folder / "validation.json").read_text()
    assert written == '{\n "rows": 5,\n "suite": {},\n "unchecked": 0.0,\n "verify": {}\n}\n'
    assert json.loads(written) == told


def test_a_row_that_is_wrong_stops_the_release(tmp_path: Path) -> None:
    wrong = training_row(1) | {"answer": "12345"}
    folder = stored(tmp_path, training_row(0), wrong)
    with pytest.raises(QualityError, match=f"hopchain verify.*{wrong['query_id']}"):
        validate_rows(folder, lambda table, rows: SuiteResult(rows.num_rows))
    assert not (folder / "validation.json").exists()
