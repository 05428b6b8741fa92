"""Live progress: a bar with rate, ETA and rejects on a terminal, periodic log lines otherwise."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hopchain_etl.lake.lake import Marker, Shard
from hopchain_etl.stages import runner
from hopchain_etl.stages.logged_progress import LoggedProgress
from hopchain_etl.stages.quarantine import QuarantinedRow
from hopchain_etl.stages.runner import Accepted, Failed, Outcome

log = logging.getLogger(__name__)


class LiveProgress:
    """Rows done, rate, time left and rejects of the current shard."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} rows/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[refused]} rejected, {task.fields[failed]} failed"),
            console=Console(stderr=True),
        )

    def __enter__(self) -> LiveProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, stage: str, shard: Shard, rows: int) -> None:
        self._name = f"{stage} {shard}"
        self._done = self._refused = self._failed = 0
        self._started = time.monotonic()
        self._task = self._bar.add_task(self._name, total=rows, rate="-", refused=0, failed=0)

    def advance(self, outcome: Outcome | QuarantinedRow) -> None:
        self._done += 1
        failed = isinstance(outcome, Failed | QuarantinedRow)
        self._failed += failed
        self._refused += not failed and not isinstance(outcome, Accepted)
        rate = self._done / max(1e-6, time.monotonic() - self._started)
        self._bar.update(self._task, advance=1, rate=f"{rate:.1f}", refused=self._refused, failed=self._failed)

    def finish(self, marker: Marker, rows: int) -> None:
        log.info(
            "%s: read %d, ok %d, rejected %d, failed %d, quarantined %d, rows %d, %.1f s",
            *(self._name, marker.read, marker.ok, marker.rejected, marker.failed, marker.quarantined, rows),
            time.monotonic() - self._started,
        )


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Yield a stop event that the first Ctrl-C or SIGTERM sets; a second one stops immediately."""
    stop = threading.Event()

    def ask_to_stop(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        log.warning("stopping after the current row; finished work is kept (press again to stop immediately)")

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def watched() -> Iterator[tuple[runner.Progress, threading.Event]]:
    """Yield progress (a bar on a terminal, else log lines), and the event of ``stoppable``."""
    shown = LiveProgress() if sys.stderr.isatty() else LoggedProgress()
    with stoppable() as stop, shown as progress:
        yield progress, stop
