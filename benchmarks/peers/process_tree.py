"""Runs a command and says what it and every process that it started have used, then ends what is left of them.

``python -m benchmarks.peers.process_tree SECONDS COMMAND...`` prints JSON: ``started`` and ``ended`` (seconds since
1970), ``cpu`` (processor seconds), ``peak_mib`` (memory of all together at most, what they share counted once), and
``status``, which is null if the command was still running after SECONDS. Linux only: orphans come back to this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_INTERVAL = 0.2


def measured(command: list[str], limit: float) -> dict[str, Any]:
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    started = time.time()
    process = subprocess.Popen(command, stdout=sys.stderr)  # our own output is the figures only
    signal.signal(signal.SIGTERM, lambda *_: end_descendants())  # then the command is found ended
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(pss_mib, psutil.Process().children(recursive=True))))
        if time.time() > started + limit:
            break
        time.sleep(_INTERVAL)
    ended, status = time.time(), process.returncode
    end_descendants()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {"started": started, "ended": ended, "cpu": used.ru_utime + used.ru_stime, "peak_mib": peak}
    return {**figures, "status": status}


def pss_mib(process: psutil.Process) -> float:
    """Return a process's memory, with its share of what it shares, in MiB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def end_descendants() -> None:
    """Kill every process that came from this one."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[2:], float(sys.argv[1]))), flush=True)
