"""The local Airflow starts on loopback, knows its users, and leaves nothing behind."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo import local_airflow
from hopchain_etl.demo.local_airflow import AirflowServer, AirflowServerError, UnansweredError


def running(marker: str) -> list[str]:
    """Return the command lines of processes that name ``marker``."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if marker in line]


def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AirflowServerError, match=f"port {port} is taken"):
            local_airflow.start(tmp_path / "airflow", {}, port=port)
    assert local_airflow.status(tmp_path / "airflow") is None


@pytest.mark.airflow
@pytest.mark.slow
def test_it_starts_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "airflow"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = local_airflow.start(home, {}, port=port)
    try:
        assert server.port == port
        local_airflow.wait_until_healthy(server)
        assert local_airflow.start(home, {}).port == server.port
        assert local_airflow.status(home) == server
        server._until_parsed("hopchain_build")
        with pytest.raises(AirflowServerError, match="404"):
            server.call("GET", "dags/no_such_dag")
        runs = "dags/hopchain_build/dagRuns"
        left = server.call("POST", runs, {"logical_date": None, "conf": {}})["dag_run_id"]  # waits: the DAG is paused
        server.give_up_runs("hopchain_build")
        assert server.call("GET", f"{runs}/{left}")["state"] == "failed"
        assert (home / "passwords.json").stat().st_mode & 0o077 == 0
        pids = [pid for pid, _ in json.loads((home / "running.json").read_text())["processes"]]
    finally:
        assert local_airflow.stop(home)
    assert local_airflow.status(home) is None
    assert not local_airflow.stop(home)
    assert [pid for pid in pids if local_airflow._started(pid)] == []
    assert running(f":{server.port}") == []


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
