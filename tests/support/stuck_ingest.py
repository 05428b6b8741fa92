"""Ingests as intake night-1 and stops after so many rows, until it is killed: the kill comes at one place only.

Run it with the settings of lake, source and ingest as JSON, and the number of rows.
"""

from __future__ import annotations

import sys
import time

import pyarrow as pa

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import IngestSettings, LakeSettings, S3Settings
from hopchain_etl.stages.ingest import ingest
from hopchain_etl.stages.runner import NoProgress


class Stuck(NoProgress):
    """Progress that goes no further than so many rows."""

    def __init__(self, rows: int) -> None:
        self._left = rows

    def advance(self, outcome: object) -> None:
        """Count a row; after the last one say so and wait."""
        self._left -= 1
        if not self._left:
            print("stuck", flush=True)
            time.sleep(600)


def accept(table: str, rows: pa.Table) -> SuiteResult:
    return SuiteResult(rows.num_rows)


if __name__ == "__main__":
    lake, source = LakeSettings.model_validate_json(sys.argv[1]), S3Settings.model_validate_json(sys.argv[2])
    settings = IngestSettings.model_validate_json(sys.argv[3])
    ingest(Lake(lake), open_store(source), settings, "night-1", validate=accept, progress=Stuck(int(sys.argv[4])))
