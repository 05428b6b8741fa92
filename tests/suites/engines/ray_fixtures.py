"""A real Ray cluster on this machine, in processes of its own: one node, eight GPUs that it only believes in."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hopchain_etl.settings import RaySettings

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # processes that nobody needs here
    "RAY_memory_monitor_refresh_ms": "0",  # others share this machine's memory
    "RAY_raylet_start_wait_time_s": "300",
    "PYTHONPATH": os.pathsep.join(str(Path(one).resolve()) for one in sys.path if one),  # its workers start elsewhere
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
        "--num-cpus=16", "--num-gpus=8", "--include-dashboard=false", "--object-store-memory=100000000",
        f"--temp-dir={folder}",
    ]  # fmt: skip
    log = folder / "start.log"
    with log.open("wb") as sink:
        process = psutil.Popen(command, stdout=sink, stderr=sink, env={**os.environ, **ENVIRONMENT})
    try:
        while b"block" not in log.read_bytes():  # its last words, when everything runs
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield {"node": f"127.0.0.1:{port}", "client": f"ray://127.0.0.1:{client}"}
    finally:
        for one in (started := [process, *process.children(recursive=True)]):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(started)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ray_settings(cluster: dict[str, str]) -> RaySettings:
    return RaySettings(address=cluster["node"], ready_seconds=600)
