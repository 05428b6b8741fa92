"""What `hopchain doctor` sees of a real Airflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hopchain_etl.doctor import places
from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Settings
from support.airflow_home import airflow_env, run_airflow


@pytest.mark.airflow
@pytest.mark.slow
def test_pools_and_connections_of_a_real_airflow(
    airflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(airflow_database, tmp_path)
    for name, value in airflow_env(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_GOOD", json.dumps({"conn_type": "aws", "login": "me", "password": "key"}))
    run_airflow(dict(os.environ), "pools", "set", "gpu", "2", "hopchain")
    uri, engines = {"uri": "s3://b/x", "connection": "good"}, {"engines": {"profile": "vllm"}}
    settings = Settings.model_validate({**engines, "lake": uri, "source": {**uri, "connection": "bad"}})
    told = [*places.connections(settings), *places.airflow(settings)]
    states = {one.what: one.state for one in told}
    assert states["pool gpu"] == states["pool default_pool"] == states["connection good"] == "ok"
    assert states["pool vlm"] == states["connection bad"] == "missing"
    assert states["mapped tasks"] == "ok"
    assert "airflow pools set vlm" in next(one.remedy for one in told if one.what == "pool vlm")


@pytest.mark.airflow
def test_more_mapped_tasks_than_airflow_allows_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**airflow_env(tmp_path), "AIRFLOW__CORE__MAX_MAP_LENGTH": "40"}.items():
        monkeypatch.setenv(name, value)
    for wanted, state in ((40, "ok"), (41, "warning")):
        settings = Settings.model_validate({"orchestrate": {"max_mapped": wanted}})
        found = places.mapped_tasks(settings)
        assert (found.state, "40" in found.detail) == (state, True)
        assert dag_config.max_mapped(settings) == 40
    assert "AIRFLOW__CORE__MAX_MAP_LENGTH=41" in found.remedy


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("more", "state", "detail", "remedy"),
    [
        ({}, "missing", "its database has no tables", "airflow db migrate"),
        (
            {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////no/such/folder/of-s3cret@here/airflow.db"},
            "missing",
            "does not answer here",
            "where the scheduler runs",
        ),
        ({"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api:8080/execution/"}, "warning", "by design", "where"),
    ],
    ids=["without tables", "out of reach", "on a worker"],
)
def test_only_a_database_without_tables_is_to_be_migrated(
    tmp_path: Path, more: dict[str, str], state: str, detail: str, remedy: str
) -> None:
    ask = "print('FOUND', json.dumps([vars(one) for one in places.pools(Settings())]))"
    imports = "import json; from hopchain_etl.doctor import places; from hopchain_etl.settings import Settings"
    command = [sys.executable, "-c", f"{imports}; {ask}"]
    done = subprocess.run(command, env=airflow_env(tmp_path) | more, check=True, capture_output=True, text=True)
    (found,) = json.loads(done.stdout.partition("FOUND ")[2])
    assert found["state"] == state
    assert detail in found["detail"]
    assert remedy in found["remedy"]
    assert ("migrate" in found["remedy"]) == (not more)
