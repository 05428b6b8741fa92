"""The local Airflow starts on loopback, knows its users, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hopchain_etl.demo import local_airflow
from hopchain_etl.demo.local_airflow import AirflowServerError


def running(marker: str) -> list[str]:
    """Return the command lines of processes that name ``marker``."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if marker in line]


@pytest.mark.airflow
@pytest.mark.slow
def test_it_starts_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "airflow"
    server = local_airflow.start(home, {})
    try:
        local_airflow.wait_until_healthy(server)
        assert local_airflow.start(home, {}).port == server.port
        assert local_airflow.status(home) == server
        server._until_parsed("hopchain_build")
        with pytest.raises(AirflowServerError, match="404"):
            server.call("GET", "dags/no_such_dag")
        assert (home / "passwords.json").stat().st_mode & 0o077 == 0
        pids = [pid for pid, _ in json.loads((home / "running.json").read_text())["processes"]]
    finally:
        assert local_airflow.stop(home)
    assert local_airflow.status(home) is None
    assert not local_airflow.stop(home)
    assert [pid for pid in pids if local_airflow._started(pid)] == []
    assert running(f":{server.port}") == []
