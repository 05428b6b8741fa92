"""Validate: the training set's suite and every check of ``hopchain verify``, on rows just assembled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hopchain_etl import records
from hopchain_etl.quality import QualityError, Validator
from hopchain_etl.verify import verify


def validate_rows(folder: Path, validate: Validator) -> dict[str, Any]:
    """Write ``validation.json`` into a target's folder and return what it holds; it names no clock and no sample.

    Photos are not looked at: they are packed after this stage, from blobs whose sha256 is checked then. Raises
    QualityError where more rows fail the suite than the setting allows, or any row fails ``verify``.
    """
    rows = pq.read_table(sorted((folder / "rows").glob("*.parquet")), schema=records.TRAINING_ROWS)
    verdict = validate("training_set", rows)
    verdict.raise_if_over_threshold(f"training_set {folder.name}")
    checked = verify(folder, images=False)
    result = {
        "rows": rows.num_rows,
        "suite": dict(sorted(Counter(verdict.failing.values()).items())),
        "verify": dict(sorted(checked.failures.items())),
        "unchecked": round(checked.unchecked, 4),
    }
    if checked.failures:
        raise QualityError(f"training_set {folder.name}: rows fail their own checks: {dict(checked.samples)}")
    (folder / "validation.json").write_text(json.dumps(result, sort_keys=True, indent=1) + "\n")
    return result
