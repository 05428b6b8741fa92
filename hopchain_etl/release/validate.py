"""Validate: the training set's suite and every check of ``hopchain verify``, on freshly assembled rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.quality.validator import QualityError, Validator
from hopchain_etl.release.row_cutting import cut_rows
from hopchain_etl.training_set.verify import verify

_ROWS_AT_ONCE = 5_000  # the suite takes a third of a second even for few rows, and memory proportional to the rows


def validate_rows(folder: Path, validate: Validator) -> dict[str, Any]:
    """Write ``validation.json`` into a target's folder and return its content, which has no timestamps and no samples.

    Photos are not checked here: they are packed after this stage, from blobs whose sha256 is checked then. Raises
    QualityError if more rows fail the suite than the setting allows, or any row fails ``verify``.
    """
    rows = 0
    failing: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as thread:  # it only feeds the processes that verify, while the suite runs here
        verifying = thread.submit(verify, folder, images=False)
        for number, table in enumerate(_batches(sorted((folder / "rows").glob("*.parquet")))):
            verdict = validate("training_set", table)
            verdict.raise_if_over_threshold(f"training_set {folder.name}, batch {number} of {_ROWS_AT_ONCE} rows")
            rows += table.num_rows
            failing.update(verdict.failing.values())
        checked = verifying.result()
    result = {
        "rows": rows,
        "suite": dict(sorted(failing.items())),
        "verify": dict(sorted(checked.failures.items())),
        "unchecked": round(checked.unchecked, 4),
    }
    if checked.failures:
        raise QualityError(f"training_set {folder.name}: rows fail `hopchain verify`: {dict(checked.samples)}")
    (folder / "validation.json").write_text(json.dumps(result, sort_keys=True, indent=1) + "\n")
    return result


def _batches(files: list[Path]) -> Iterator[pa.Table]:
    """Yield the rows of ``files`` in tables of ``_ROWS_AT_ONCE``; one empty table if there are no rows."""
    tables = (pq.read_table(path, schema=schemas.TRAINING_ROWS) for path in files)
    batches = cut_rows(tables, schemas.TRAINING_ROWS, _ROWS_AT_ONCE)
    yield next(batches, schemas.TRAINING_ROWS.empty_table())
    yield from batches
