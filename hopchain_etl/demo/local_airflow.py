"""A local Airflow for the demo and for ``make up``: SQLite, LocalExecutor, loopback only, named users.

In production use your own Airflow; docs/airflow.md says how to install the DAGs and the plugin there.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hopchain_etl.demo.interrupts import held_back
from hopchain_etl.engines.proxies import loopback_excepted, opener
from hopchain_etl.project_files import project_file

ANNOTATORS = ("ann", "ben", "cleo", "dan")
# The least that each needs: annotators read nothing but the desk's pages; the lead also starts runs and approves.
USERS = {"admin": "admin", "lead": "user", **dict.fromkeys(ANNOTATORS, "viewer")}
PARALLEL_TASKS = 2
_POOLS = dict.fromkeys(("gpu", "vlm"), PARALLEL_TASKS)
_POLL_SECONDS = 0.2
_SECONDS_UNTIL_PARSED_AGAIN = "300"  # of an unchanged DAG; each time takes a core for some seconds
_AIRFLOW = (sys.executable, "-m", "airflow")
_PARTS = (("api-server",), ("scheduler", "--skip-serve-logs"), ("dag-processor",), ("triggerer", "--skip-serve-logs"))


class AirflowServerError(Exception):
    """The local Airflow did not start or did not answer; the message names its logs."""


class UnansweredError(AirflowServerError):
    """A request was not answered in time; on a busy machine the next one may be."""


@dataclass(frozen=True)
class AirflowServer:
    """A local Airflow in ``home``; ``url`` is its UI and API."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def passwords(self) -> dict[str, str]:
        """The password of each user."""
        words: dict[str, str] = json.loads((self.home / "passwords.json").read_text())
        return words

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON that the REST API answers; raise AirflowServerError with its message otherwise."""
        token = self._token()
        return _http(method, f"{self.url}/api/v2/{path}", body, {"Authorization": f"Bearer {token}"})

    def run_dag(self, dag_id: str, conf: Mapping[str, Any], *, timeout: float = 1_800) -> dict[str, Any]:
        """Trigger a DAG, wait until it ends and return the run; raise AirflowServerError if it fails.

        ``timeout`` is in seconds. A request that is not answered meanwhile is asked again.
        """
        self._until_parsed(dag_id)
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})
        run_id: str = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})[
            "dag_run_id"
        ]
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                run: dict[str, Any] = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")
            except UnansweredError:
                continue
            if run["state"] == "success":
                return run
            if run["state"] == "failed":
                tasks = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
                failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
                raise AirflowServerError(f"{dag_id} failed in {', '.join(failed)}; see {self.home / 'logs'}")
            time.sleep(1)
        raise AirflowServerError(f"{dag_id} did not end within {timeout:.0f} s; see {self.home / 'logs'}")

    def give_up_runs(self, dag_id: str) -> None:
        """Mark the runs that an interrupted demo left unfinished as failed: a DAG has one run at a time."""
        self._until_parsed(dag_id)
        runs = self.call("GET", f"dags/{dag_id}/dagRuns?state=running&state=queued")["dag_runs"]
        for run in runs:
            self.call("PATCH", f"dags/{dag_id}/dagRuns/{run['dag_run_id']}", {"state": "failed"})

    def _until_parsed(self, dag_id: str) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                self.call("GET", f"dags/{dag_id}")
                return
            except AirflowServerError:
                time.sleep(1)
        raise AirflowServerError(f"{dag_id} was not parsed; see {self.home / 'dag-processor.log'}")

    def _token(self) -> str:
        user = {"username": "admin", "password": self.passwords["admin"]}
        token: str = _http("POST", f"{self.url}/auth/token", user, {})["access_token"]
        return token


def start(home: Path, env: Mapping[str, str], *, port: int | None = None) -> AirflowServer:
    """Start Airflow in ``home`` with ``env`` for its tasks, or return the one that already runs there.

    Does not wait until it is ready. Without ``port`` any free one is used; raises AirflowServerError if it is taken.
    """
    running = status(home)
    if running:
        return running
    home.mkdir(parents=True, exist_ok=True)
    server = AirflowServer(home, _free_port(port or 0))
    if not (home / "passwords.json").exists():
        words = {user: secrets.token_urlsafe(9) for user in USERS}
        _write_private(home / "passwords.json", json.dumps(words))
    full = {**os.environ, **_configuration(server), **env}
    _set_up(home, full)
    with held_back():
        processes = [_launch(server, part, full) for part in _PARTS]
        _write_private(home / "running.json", json.dumps({"port": server.port, "processes": processes}))
    return server


def _set_up(home: Path, env: Mapping[str, str]) -> None:
    """Create or migrate the database and create the pools, unless this version of Airflow has done so.

    Each command takes some seconds to start.
    """
    done, version = home / "set-up-by", importlib.metadata.version("apache-airflow-core")
    if done.exists() and done.read_text() == version:
        return
    pools = {name: {"slots": n, "description": "hopchain", "include_deferred": False} for name, n in _POOLS.items()}
    (home / "pools.json").write_text(json.dumps(pools))
    setups = [["db", "migrate"], ["pools", "import", str(home / "pools.json")]]
    with (home / "setup.log").open("wb") as log:
        for command in setups[:1] if done.exists() else setups:  # a set-up that was stopped has no pools yet
            if subprocess.run([*_AIRFLOW, *command], env=env, stdout=log, stderr=log, check=False).returncode:
                raise AirflowServerError(f"airflow {' '.join(command)} failed; see {home / 'setup.log'}")
    done.write_text(version)


def _launch(server: AirflowServer, part: tuple[str, ...], env: Mapping[str, str]) -> tuple[int, str | None]:
    """Start one process of Airflow; return its process id and its start time."""
    address = ("--host", "127.0.0.1", "--port", str(server.port), "--workers", "1") if part[0] == "api-server" else ()
    with (server.home / f"{part[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            [*_AIRFLOW, *part, *address],
            env=env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return process.pid, _started(process.pid)


def wait_until_healthy(server: AirflowServer, *, timeout: float = 180) -> None:
    """Return when the API and the scheduler respond; raise AirflowServerError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            health = _http("GET", f"{server.url}/api/v2/monitor/health", None, {})
            if health["scheduler"]["status"] == "healthy" and health["dag_processor"]["status"] == "healthy":
                return
        except AirflowServerError:
            pass  # not listening yet
        if status(server.home) is None:
            raise AirflowServerError(f"Airflow ended while starting; see the logs in {server.home}")
        time.sleep(1)
    raise AirflowServerError(f"Airflow was not healthy after {timeout:.0f} s; see the logs in {server.home}")


def status(home: Path) -> AirflowServer | None:
    """Return the Airflow that runs in ``home``, or None."""
    try:
        held = json.loads((home / "running.json").read_text())
    except FileNotFoundError:
        return None
    return AirflowServer(home, held["port"]) if any(_runs(*process) for process in held["processes"]) else None


def stop(home: Path, *, timeout: float = 30) -> bool:
    """Stop the Airflow in ``home`` and all its child processes; return whether one ran.

    What has not ended ``timeout`` seconds after SIGTERM is killed.
    """
    if status(home) is None:
        return False
    held = json.loads((home / "running.json").read_text())["processes"]
    # Each part leads a session. One that died leaves its children there, and no other process gets its id meanwhile.
    sessions = {pid for pid, started in held if _started(pid) in (None, started)}
    _signal(_members(sessions), signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while _members(sessions) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + timeout
    while (left := _members(sessions)) and time.monotonic() < deadline:
        _signal(left, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    (home / "running.json").unlink()
    return True


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _configuration(server: AirflowServer) -> dict[str, str]:
    home = server.home
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project_file("dags")),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project_file("plugins")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLEL_TASKS),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{server.url}/execution/",
        "AIRFLOW__API__BASE_URL": server.url,
        "AIRFLOW__API__PORT": str(server.port),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(home),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": _SECONDS_UNTIL_PARSED_AGAIN,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        **loopback_excepted(os.environ),
        "OMP_NUM_THREADS": "1",
    }


def _secret(home: Path) -> str:
    """Return the key that signs tokens; it stays the same as long as ``home`` exists."""
    path = home / "jwt.secret"
    if not path.exists():
        _write_private(path, secrets.token_hex(32))
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _started(pid: int) -> str | None:
    """Return when a live process started, in clock ticks since boot, or None.

    Together with the process id it identifies the process. Its environment cannot be used for this, because
    servers that set their process title overwrite it.
    """
    fields = _stat(Path(f"/proc/{pid}"))
    return fields[19] if fields and fields[0] != "Z" else None


def _members(sessions: set[int]) -> list[int]:
    """Return the live processes of some sessions. A task leads a process group, and may outlive its parents."""
    told = ((int(place.name), _stat(place)) for place in Path("/proc").glob("[0-9]*"))
    return [pid for pid, fields in told if fields and fields[0] != "Z" and int(fields[3]) in sessions]


def _stat(process: Path) -> list[str] | None:
    """Return what the kernel tells about a process, from its state on; None if it is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended, or it belongs to another user and is hidden
        return None


def _runs(pid: int, started: str | None) -> bool:
    return started is not None and _started(pid) == started


def _free_port(wanted: int) -> int:
    """Return the wanted port if it is free; any free one for 0."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was closed just now is free
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise AirflowServerError(f"port {wanted} is taken; choose another port, or omit it") from error
        port: int = listener.getsockname()[1]
        return port


def _http(method: str, url: str, body: Any, headers: dict[str, str]) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(  # noqa: S310 - loopback, built above
        url, data, {"Content-Type": "application/json", **headers}, method=method
    )
    try:
        with opener().open(request, timeout=30) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise AirflowServerError(f"{method} {url}: {error.code} {error.read()[:300]!r}") from error
    except OSError as error:
        raise UnansweredError(f"{method} {url}: {error}") from error
