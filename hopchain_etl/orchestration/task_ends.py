"""How a task ends if not by success: skipped, stopped, or failed in a way that another try would not mend."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def fail_without_retry(*kinds: type[Exception]) -> Iterator[None]:
    """Convert errors of these types to AirflowFailException, which is not retried."""
    try:
        yield
    except kinds as error:
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def skip(why: str) -> None:
    """End the task as skipped."""
    from airflow.sdk.exceptions import AirflowSkipException

    raise AirflowSkipException(why)


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets: Airflow sends SIGTERM first and kills the task a few seconds later."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGTERM)

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, request_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
