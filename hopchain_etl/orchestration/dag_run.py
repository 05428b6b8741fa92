"""What names a run: its intake, and its part of keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Protocol

from hopchain_etl.lake import lake
from hopchain_etl.lake.lake import check_intake


class DagRun(Protocol):
    """The used attributes of Airflow's DAG run. A manual run may have no logical date."""

    run_id: str
    logical_date: datetime | None
    run_after: datetime


def intake_name(run: DagRun) -> str:
    """Return the intake name of a run, the same in every retry: its date, such as 2026-11-22T020000."""
    when = (run.logical_date or run.run_after).astimezone(UTC).replace(tzinfo=None)
    return check_intake(re.sub(r"[^A-Za-z0-9._-]", "", when.isoformat()))


def run_key(run: DagRun) -> str:
    """Return a run's id as a part of S3 keys."""
    return lake.run_key(run.run_id)
