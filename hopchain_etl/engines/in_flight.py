"""How many requests to model servers this process is waiting for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_requests = 0


@contextmanager
def request_in_flight() -> Iterator[None]:
    """Count a request inside the block."""
    _add(1)
    try:
        yield
    finally:
        _add(-1)


def requests_in_flight() -> int:
    """Return how many requests of this process have been sent and are not answered."""
    return _requests


def _add(number: int) -> None:
    global _requests
    with _lock:
        _requests += number
