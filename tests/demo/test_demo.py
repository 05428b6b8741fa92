"""``make up`` and ``make down`` as their user runs them: what is left running, what ends, and what is kept."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from hopchain_etl.demo import local_airflow, s3_server
from hopchain_etl.demo.local_airflow import AirflowServerError
from hopchain_etl.demo.s3_folder import choose_port
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def children(folder: Path) -> set[int]:
    """Return the processes that work in a folder, by their open files, working folder, environment and arguments."""
    found, marker = set(), os.fsencode(str(folder))
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended, or is another user's
        if marker in told and int(place.name) != os.getpid():
            found.add(int(place.name))
    return found


class Checkout:
    """A folder in which a user calls make, with a home of their own and fixed ports."""

    def __init__(self, folder: Path) -> None:
        self.state, self.home = folder / ".demo", folder / "home"
        self.home.mkdir()
        self.ui_port, self.s3_port = free_port(), choose_port(None, None)
        ours = ("HOPCHAIN_", "AWS_", "AIRFLOW_")
        proxies = ("_proxy", "_PROXY")
        environment = os.environ.items()
        clean = {name: one for name, one in environment if not name.startswith(ours) and not name.endswith(proxies)}
        clean["HTTP_PROXY"] = "http://127.0.0.1:9"  # one that nothing of this may go by
        clean["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
        ports = {"UI_PORT": str(self.ui_port), "S3_PORT": str(self.s3_port)}
        self._how = {"cwd": folder, "env": {**clean, **ports, "HOME": str(self.home), "COLUMNS": "200"}}

    def make(self, what: str) -> str:
        """Run what the Makefile runs for a target; return its output."""
        called = re.search(rf"^{what}:.*\n\t.*\$\(BIN\)/python (-m hopchain_etl.demo {what})$", MAKEFILE, re.MULTILINE)
        assert called
        command = [sys.executable, *called[1].split()]
        done = subprocess.run(command, **self._how, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ui_port}/{path}", timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    def shell(self, command: str) -> str:
        """Run a command in a shell that has read ``.demo/env.sh``, as ``up`` says; return its output."""
        script = f'. "$0"; {command}'
        told = subprocess.run(
            ["sh", "-c", script, self.state / "env.sh"], **self._how, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    def photos(self, patch: pytest.MonkeyPatch) -> ObjectStore:
        """The source bucket, with the keys of such a shell."""
        told = self.shell('echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $HOPCHAIN_LAKE__ENDPOINT_URL"')
        key, secret, url = told.split()
        assert url == f"http://127.0.0.1:{self.s3_port}"
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        return open_store(S3Settings(uri="s3://hopchain/photos", endpoint_url=url, path_style=True))


MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


@pytest.mark.airflow
@pytest.mark.s3
@pytest.mark.slow
def test_up_serves_down_ends_all_and_up_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Checkout(tmp_path)
    home = checkout.state / "airflow"
    try:
        told = checkout.make("up")
        server = local_airflow.status(home)
        assert server
        assert server.port == checkout.ui_port
        assert server.url in told
        assert all(f"{user}" in told and password in told for user, password in server.passwords.items())
        assert "Airflow" in checkout.page("")
        assert local_airflow.start(home, {}) == server  # it is not started twice
        server._until_parsed("hopchain_build")
        with pytest.raises(AirflowServerError, match="404"):
            server.call("GET", "dags/no_such_dag")
        runs = "dags/hopchain_build/dagRuns"
        left = server.call("POST", runs, {"logical_date": None, "conf": {}})["dag_run_id"]  # waits: the DAG is paused
        server.give_up_runs("hopchain_build")
        checkout.photos(monkeypatch).put("a.jpg", b"a photo")
        assert json.loads(checkout.shell("hopchain plan --json"))["shards"] == []  # and it finds all that it needs
        started = children(tmp_path)
        assert len(started) > len(local_airflow._PARTS)
        for private in (checkout.state / "env.sh", home / "passwords.json"):
            assert private.stat().st_mode & 0o077 == 0

        checkout.make("down")
        assert children(tmp_path) == set()
        assert local_airflow.status(home) is None
        assert s3_server.status(checkout.state / "s3") is None
        ports = (checkout.ui_port, *range(checkout.s3_port, checkout.s3_port + 4))
        assert [port for port in ports if not is_free(port)] == []
        checkout.make("down")  # nothing to stop, nothing to say

        checkout.make("up")
        again = local_airflow.status(home)
        assert again == server
        assert again.passwords == server.passwords
        assert again.call("GET", f"{runs}/{left}")["state"] == "failed"
        assert checkout.photos(monkeypatch).get("a.jpg") == b"a photo"
        assert list(checkout.home.iterdir()) == []  # all that it writes is in .demo
    finally:
        checkout.make("down")
    assert children(tmp_path) == set()
