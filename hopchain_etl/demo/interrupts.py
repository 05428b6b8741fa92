"""What Ctrl-C and SIGTERM do while the demo runs: stop what it started, say one line, exit with 130."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hopchain_etl.errors import STOPPED

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(last_words: str) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt; then print ``last_words`` and exit with ``STOPPED``.

    Further ones are ignored, so that nothing keeps the block from stopping what it started.
    """
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        print(last_words, file=sys.stderr)
        raise SystemExit(STOPPED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Let SIGINT and SIGTERM come only after the block, so that no process is started without being written down.

    A child that the block starts is not protected. In another thread than the main one there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for first in came[:1]:
            os.kill(os.getpid(), first)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt
