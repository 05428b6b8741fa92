"""Child process that ends the vLLM server when the task that started it has died.

``python -m hopchain_etl.engines.vlm.watcher PID SECONDS COMMAND...``: PID is the process to watch, SECONDS is the time
between SIGTERM and SIGKILL. A killed task cannot stop its server, but this process can.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

_POLL_SECONDS = 0.5


def main() -> int:
    """Return the exit code of the command, or 0 if the watcher ended it."""
    watched, patience, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: signals.append(number))
    process = subprocess.Popen(command, start_new_session=True)
    while not signals and os.getppid() == watched:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(_POLL_SECONDS)
            _signal_all(process.pid, signal.SIGKILL)  # workers that are still running
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
