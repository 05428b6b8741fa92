"""An approval in the first seconds, on a real Airflow: the first try takes it.

Without ``EarlyAnswers`` about a third of such answers was lost: the try failed, and the retry asked again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo import local_airflow
from hopchain_etl.demo.local_airflow import AirflowServer, AirflowServerError
from hopchain_etl.web.early_answers import SETTLED_SECONDS

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

GATE = """
from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag

@dag(schedule=None)
def hopchain_release():
    ApprovalOperator(task_id="approve", subject="Release?", retries=1, retry_delay=timedelta(seconds=5))

hopchain_release()
"""


@pytest.fixture(scope="module")
def airflow(airflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    folder = tmp_path_factory.mktemp("gate")
    (folder / "dags").mkdir()
    (folder / "dags" / "gate.py").write_text(GATE)
    with pytest.MonkeyPatch.context() as patch:  # it needs no pools
        patch.setattr(local_airflow, "_set_up", lambda home, env: shutil.copy(airflow_database, home))
        server = local_airflow.start(folder / "airflow", {"AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags")})
    try:
        local_airflow.wait_until_healthy(server)
        server._until_parsed("hopchain_release")
        server.call("PATCH", "dags/hopchain_release", {"is_paused": False})
        yield server
    finally:
        local_airflow.stop(folder / "airflow")


@pytest.mark.parametrize("after", [0.0, 0.3])
def test_an_answer_in_the_first_second_is_taken_by_the_first_try(airflow: AirflowServer, after: float) -> None:
    run = airflow.call("POST", "dags/hopchain_release/dagRuns", {"logical_date": None, "conf": {}})["dag_run_id"]
    task = f"dags/hopchain_release/dagRuns/{run}/taskInstances/approve"
    until(airflow, f"{task}/-1/hitlDetails", lambda told: True)
    asked = time.monotonic()
    time.sleep(after)
    said = airflow.call("PATCH", f"{task}/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}})
    assert said["chosen_options"] == ["Approve"]
    assert time.monotonic() - asked > SETTLED_SECONDS - 2, "it was held back"
    done = until(airflow, task, lambda told: told["state"] not in ("awaiting_input", "scheduled", "queued", "running"))
    assert (done["state"], done["try_number"]) == ("success", 1)


def until(airflow: AirflowServer, path: str, holds: Any) -> Any:
    """Return what ``path`` answers once it holds."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if holds(told := airflow.call("GET", path)):
                return told
        except AirflowServerError:
            pass  # the task has not asked yet
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come to hold")
