"""Ctrl-C and SIGTERM end the demo with all that it started, in whatever way its children take the signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hopchain_etl.demo import demo, local_airflow, s3_server
from hopchain_etl.demo.interrupts import held_back
from hopchain_etl.demo.s3_folder import S3ServerError
from hopchain_etl.errors import STOPPED

# In the place of Airflow: deaf to Ctrl-C, and with a child in a process group of its own, as a task has one, that
# SIGTERM does not end either.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
RUN = """
import sys, time
from pathlib import Path
from hopchain_etl.demo import demo, local_airflow
demo.FOLDER = Path(sys.argv[2])
demo._GRACE_SECONDS = 0.5
demo.up_stores = lambda folder, port=None: None
demo.up_airflow = lambda folder, server, port=None: local_airflow.start(folder / "airflow", {})
demo.write_samples = lambda *arguments, **options: time.sleep(600)
local_airflow._AIRFLOW = (sys.executable, sys.argv[3])
local_airflow._set_up = lambda home, env: None
getattr(demo, sys.argv[1])()
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> Path:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    return tmp_path / "stubborn.py"


def count(marker: Path) -> int:
    """Return how many processes name ``marker``, without those that have ended."""
    listed = subprocess.run(["ps", "-ww", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    return sum(str(marker) in line and not line.startswith("Z") for line in listed.splitlines())


@pytest.mark.parametrize(
    ("what", "signals"),
    [("main", [signal.SIGINT]), ("up", [signal.SIGTERM]), ("up", [signal.SIGINT, signal.SIGINT])],
    ids=["demo", "up, terminated", "up, impatient"],
)
def test_all_that_was_started_ends_and_one_line_says_so(
    what: str, signals: Sequence[signal.Signals], tmp_path: Path, stubborn: Path
) -> None:
    folder = tmp_path / "demo"
    command = [sys.executable, "-c", RUN, what, str(folder), str(stubborn)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        started = 1 + 2 * len(local_airflow._PARTS)  # with the child of each, and the demo itself
        deadline = time.monotonic() + 120
        while count(stubborn) < started and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        for number in signals:
            os.killpg(running.pid, number)  # as a terminal does
        _, told = running.communicate(timeout=120)
    assert (running.returncode, told.count("\n")) == (STOPPED, 1)
    assert told.startswith("Stopped.")
    assert count(stubborn) == 0
    assert (folder / "airflow" / "passwords.json").exists()  # what it knew is kept


def test_servers_that_ran_before_are_left_as_they_were(
    tmp_path: Path, stubborn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_airflow, "_AIRFLOW", (sys.executable, str(stubborn)))
    monkeypatch.setattr(local_airflow, "_set_up", lambda home, env: None)
    monkeypatch.setattr(demo, "_GRACE_SECONDS", 0.2)
    home = tmp_path / "airflow"

    def fail_after_the_start() -> None:
        with demo._own_servers(tmp_path, leave=True):
            local_airflow.start(home, {})
            raise ValueError("it fails")

    try:
        with demo._own_servers(tmp_path):
            local_airflow.start(home, {})
        assert local_airflow.status(home) is None
        with pytest.raises(ValueError, match="it fails"):
            fail_after_the_start()
        assert local_airflow.status(home) is None
        with demo._own_servers(tmp_path, leave=True):
            local_airflow.start(home, {})
        assert local_airflow.status(home)
        with demo._own_servers(tmp_path):
            local_airflow.start(home, {})
        assert local_airflow.status(home)
    finally:
        local_airflow.stop(home, timeout=0.2)
    assert count(stubborn) == 0


def test_children_of_a_part_that_died_end_too(tmp_path: Path, stubborn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_airflow, "_AIRFLOW", (sys.executable, str(stubborn)))
    monkeypatch.setattr(local_airflow, "_set_up", lambda home, env: None)
    local_airflow.start(tmp_path, {})
    deadline = time.monotonic() + 120
    while count(stubborn) < 2 * len(local_airflow._PARTS) and time.monotonic() < deadline:
        time.sleep(0.05)
    (dead, _), *_ = json.loads((tmp_path / "running.json").read_text())["processes"]
    os.kill(dead, signal.SIGKILL)
    os.waitpid(dead, 0)
    assert local_airflow.stop(tmp_path, timeout=0.2)
    assert count(stubborn) == 0


def test_a_server_that_cannot_be_stopped_does_not_hide_why_the_demo_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(folder: Path) -> bool:
        raise S3ServerError(f"{folder} does not answer")

    monkeypatch.setattr(s3_server, "stop", refuses)
    with pytest.raises(KeyboardInterrupt), demo._own_servers(tmp_path):
        raise KeyboardInterrupt


def test_a_signal_is_held_back_until_the_block_is_done() -> None:
    done = []

    def interrupted() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("all of it")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["all of it"]
