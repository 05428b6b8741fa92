"""What DAGs are configured with, where no DAG is needed to see it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from hopchain_etl import wiring
from hopchain_etl.settings import Settings

CALL = """
from types import SimpleNamespace
from hopchain_etl.wiring import tell_failure
task = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3, try_number=2)
tell_failure("pager")({"ti": task, "exception": ValueError("no such thing")})
print("still here")
"""


@pytest.mark.parametrize("stage", ["ingest", "detect", "segment", "generate", "collect"])
def test_resources_are_read_from_the_source_as_the_module_declares_them(stage: str) -> None:
    assert wiring.resources_of(stage) == importlib.import_module(f"hopchain_etl.stages.{stage}").RESOURCES


@pytest.mark.parametrize("stage", ["runner", "no_such_stage"])
def test_a_module_without_resources_is_named(stage: str) -> None:
    with pytest.raises(LookupError, match=stage):
        wiring.resources_of(stage)


def test_retries_come_from_the_settings() -> None:
    settings = Settings.model_validate({"orchestrate": {"retries": 7, "retry_delay_seconds": 90}})
    args = wiring.default_args(settings)
    assert (args["retries"], args["retry_delay"]) == (7, timedelta(seconds=90))
    assert "on_failure_callback" not in args


@pytest.mark.airflow
@pytest.mark.parametrize(
    "connection", [{"conn_type": "http", "host": "http://127.0.0.1:9"}, None], ids=["refused", "unknown"]
)
def test_a_webhook_that_is_down_does_not_hide_the_failure(tmp_path: Path, connection: dict[str, str] | None) -> None:
    env = {"AIRFLOW_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", "PATH": ""}
    if connection:
        env["AIRFLOW_CONN_PAGER"] = json.dumps(connection)
    done = subprocess.run([sys.executable, "-c", CALL], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "still here" in done.stdout
    assert "was not posted to Airflow Connection 'pager'" in done.stdout + done.stderr


def test_a_failure_is_told_in_small_json() -> None:
    class Task:
        dag_id, run_id, task_id, map_index, try_number = "d", "r", "t", 3, 2
        log_url = "http://airflow/log"

    told = wiring.failure({"ti": Task(), "exception": ValueError("x" * 5_000)})
    assert len(json.dumps(told)) < 1_000
    assert told.pop("error").startswith("ValueError: xxx")
    assert told == {"dag": "d", "run": "r", "task": "t", "map_index": 3, "try": 2, "log": "http://airflow/log"}
    assert wiring.failure({"ti": Task()})["error"] is None
