"""The local Airflow says why it cannot start, and asks again; ``test_demo.py`` starts and stops a real one."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo import local_airflow
from hopchain_etl.demo.local_airflow import AirflowServer, AirflowServerError, UnansweredError


def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AirflowServerError, match=f"port {port} is taken"):
            local_airflow.start(tmp_path / "airflow", {}, port=port)
    assert local_airflow.status(tmp_path / "airflow") is None


# Stands in for Airflow: notes its command, and makes a database.
NOTES = """
import os, pathlib, sys
home = pathlib.Path(os.environ["AIRFLOW_HOME"])
(home / "airflow.db").touch()
with (home / "commands").open("a") as notes:
    print(*sys.argv[1:3], file=notes)
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of commands that a stand-in for Airflow was given."""
    (tmp_path / "notes.py").write_text(NOTES)
    monkeypatch.setattr(local_airflow, "_AIRFLOW", (sys.executable, str(tmp_path / "notes.py")))
    return tmp_path / "commands"


def test_no_request_to_it_goes_by_a_proxy_and_no_host_that_was_excepted_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", "s3.corp")
    configuration = local_airflow._configuration(AirflowServer(tmp_path, 1))
    assert configuration["NO_PROXY"] == configuration["no_proxy"] == "127.0.0.1,localhost,s3.corp"


def test_an_airflow_is_set_up_once_and_migrated_by_the_next_version(tmp_path: Path, notes: Path) -> None:
    by = tmp_path / "set-up-by"
    for _ in range(2):
        local_airflow._set_up(tmp_path, {**os.environ, "AIRFLOW_HOME": str(tmp_path)})
        assert notes.read_text().splitlines() == ["db migrate", "pools import"]
    by.write_text("3.0.0")
    local_airflow._set_up(tmp_path, {**os.environ, "AIRFLOW_HOME": str(tmp_path)})
    assert notes.read_text().splitlines()[2:] == ["db migrate"]
    assert by.read_text() != "3.0.0"


def test_a_set_up_that_was_stopped_is_made_whole(tmp_path: Path, notes: Path) -> None:
    (tmp_path / "airflow.db").touch()  # migrated, but its pools were not made
    local_airflow._set_up(tmp_path, {**os.environ, "AIRFLOW_HOME": str(tmp_path)})
    assert notes.read_text().splitlines() == ["db migrate", "pools import"]


def test_a_request_that_a_busy_machine_does_not_answer_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [{}, {}, {"dag_run_id": "r"}, UnansweredError("timed out"), {"state": "running"}]
    answers += [UnansweredError("timed out"), {"state": "success"}]

    def call(self: AirflowServer, method: str, path: str, body: Any = None) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(AirflowServer, "call", call)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server = AirflowServer(tmp_path, 1)
    assert server.run_dag("d", {}) == {"state": "success"}
    answers[:] = [{}, {}, {"dag_run_id": "r"}, AirflowServerError("500 broken")]
    with pytest.raises(AirflowServerError, match="500"):
        server.run_dag("d", {})
