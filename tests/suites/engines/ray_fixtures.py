"""A real Ray cluster on this machine, in processes of its own: one node, two GPUs that it only believes in."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hopchain_etl.settings import RaySettings

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # processes that nobody needs here
    "RAY_memory_monitor_refresh_ms": "0",  # others share this machine's memory
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The addresses of a cluster: ``node`` for processes on this machine, ``client`` as from another machine."""
    port, client = free_port(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: a socket's path has at most 107 characters
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats",
        "--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client}",
        "--num-cpus=8", "--num-gpus=2", "--include-dashboard=false", "--object-store-memory=100000000",
        f"--temp-dir={folder}",
    ]  # fmt: skip
    log = folder / "start.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, env={**os.environ, **ENVIRONMENT}, start_new_session=True
        )
    try:
        yield {"node": f"127.0.0.1:{port}", "client": f"ray://127.0.0.1:{client}", "log": str(log)}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ray_settings(cluster: dict[str, str]) -> RaySettings:
    return RaySettings(address=cluster["node"], ready_seconds=120)
