"""Airflow for the tests of DAGs: SQLite in a temporary home, lake and source in a fresh bucket; and a webhook."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import LakeSettings, S3Settings
from support.s3 import s3_client

DAGS = Path(__file__).parents[2] / "dags"
_DRIVER = Path(__file__).with_name("airflow_driver.py")


def airflow_env(home: Path) -> dict[str, str]:
    """Return the environment of an Airflow in ``home``, without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOPCHAIN_", "AIRFLOW_"))}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def run_airflow(env: dict[str, str], *command: str) -> None:
    """Run a command of Airflow; it takes some seconds, most of them to start."""
    subprocess.run([sys.executable, "-m", "airflow", *command], env=env, check=True, capture_output=True)


def migrated(folder: Path) -> Path:
    """Return a SQLite database in ``folder`` with Airflow's tables; only the first of several processes makes it."""
    folder.mkdir(exist_ok=True)
    database, ready = folder / "airflow.db", folder / "ready"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            run_airflow(airflow_env(folder), "db", "migrate")
            ready.touch()
    return database


@dataclass
class Airflow:
    """Runs DAGs in one process of its own and talks to a lake and a source in one bucket."""

    process: subprocess.Popen[str]
    log: Path
    lake: Lake
    source: ObjectStore
    registry: Path
    keys: tuple[str, str]
    told: list[dict[str, Any]] = field(default_factory=list)  # what the failure webhook was sent

    def run(self, dag: str, conf: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Run a DAG to its end and return what became of it (see airflow_driver)."""
        return self.ask({"dag": dag, "conf": conf or {}, **more})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the driver's answer to a request (see airflow_driver)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.log.read_text()[-4_000:]
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(home: Path, database: Path, s3_server: ServerInfo, **more: str) -> Iterator[Airflow]:
    """Yield an Airflow with an empty lake; tasks get the S3 keys from a stored Connection, failures go to a webhook.

    ``database`` is copied (see ``migrated``). ``more``: environment variables.
    """
    shutil.copy(database, home)
    keys = s3_server.credentials["admin"]
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    client = s3_client(s3_server.endpoint_url, keys)
    client.create_bucket(Bucket=bucket)
    registry = home / "registry.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(registry)], check=True)
    places = {
        "LAKE": f"s3://{bucket}/lake",
        "SOURCE": f"s3://{bucket}/photos",
        "REGISTRY__REMOTE": f"s3://{bucket}/dvc",
    }
    env = airflow_env(home) | {
        "HOPCHAIN_REGISTRY__GIT_URL": str(registry),
        "HOPCHAIN_ORCHESTRATE__FAILURE_WEBHOOK_CONNECTION": "pager",
        "HOPCHAIN_ORCHESTRATE__RETRY_DELAY_SECONDS": "0",
        "HOPCHAIN_ORCHESTRATE__MAX_MAPPED": "2",
        "HOPCHAIN_DESK__QUALIFICATION_NEEDED": "0",
        "HOPCHAIN_DESK__FULL_SHARE": "0",  # which questions all must answer hangs on their ids
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "NO_PROXY": "127.0.0.1,localhost",
        **more,
    }
    for name in [name for name in env if name.startswith("AWS_")]:
        del env[name]
    for name, uri in places.items():
        env[f"HOPCHAIN_{name}__URI"] = uri
        env[f"HOPCHAIN_{name}__ENDPOINT_URL"] = s3_server.endpoint_url
        env[f"HOPCHAIN_{name}__PATH_STYLE"] = "true"
        env[f"HOPCHAIN_{name}__CONNECTION"] = "lake_keys"
    log = home / "driver.log"
    with log.open("w") as sink, pytest.MonkeyPatch.context() as patch, webhook() as (url, told):
        env["AIRFLOW_CONN_PAGER"] = json.dumps({"conn_type": "http", "host": url})
        patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        process = subprocess.Popen(
            [sys.executable, str(_DRIVER)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
        at = {"endpoint_url": s3_server.endpoint_url, "path_style": True}
        lake = Lake(LakeSettings(uri=places["LAKE"], **at))
        source = open_store(S3Settings(uri=places["SOURCE"], **at))
        airflow = Airflow(process, log, lake, source, registry, (keys.access_key, keys.secret_key), told)
        try:
            airflow.ask(
                {"store": "lake_keys", "conn_type": "aws", "login": keys.access_key, "password": keys.secret_key}
            )
            yield airflow
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=300)  # the lineage provider ends its own processes first
            client.delete_bucket(Bucket=bucket)


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield an HTTP server on a free port: its URL, and the JSON bodies that were posted to it."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/hopchain", told
    finally:
        server.shutdown()
        server.server_close()
