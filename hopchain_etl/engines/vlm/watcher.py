"""Runs a command until it ends or a given process is gone, then ends it with everything that it started.

``python -m hopchain_etl.engines.vlm.watcher PID SECONDS COMMAND...``: PID is the process to watch, SECONDS what the
command gets between being asked to end and being killed. A killed task cannot stop its server; this can.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

_LOOK_SECONDS = 0.5


def main() -> int:
    """Return the exit code of the command, or 0 where it was ended from here."""
    watched, patience, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: asked.append(number))
    process = subprocess.Popen(command, start_new_session=True)
    while not asked and os.getppid() == watched:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(_LOOK_SECONDS)
            _signal_all(process.pid, signal.SIGKILL)  # workers that outlived it
            return code
    _signal_all(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    time.sleep(0.1)
    _signal_all(process.pid, signal.SIGKILL)
    process.wait()
    return 0


def _signal_all(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main())
