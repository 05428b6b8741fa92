"""A limit of requests in flight to one server, shared by all roles that ask it from this process at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future

_lock = threading.Lock()
_limits: dict[tuple[str, int], RequestLimit] = {}


def shared_limit(url: str, most: int) -> RequestLimit:
    """Return this process's limit of ``most`` requests in flight to the server at ``url``."""
    with _lock:
        return _limits.setdefault((url, most), RequestLimit(most))


class RequestLimit:
    """An asynchronous context manager inside which at most ``most`` tasks are at a time, first come first served.

    Unlike ``asyncio.Semaphore`` it may be used from event loops of several threads.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        place = self._place()
        try:
            await asyncio.wrap_future(place)
        except asyncio.CancelledError:
            if not place.cancel():  # it was given to us meanwhile
                self._give_back()
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        self._give_back()

    def _place(self) -> Future[None]:
        """Return a future that ends when there is a place."""
        place: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
                place.set_result(None)
            else:
                self._waiting.append(place)
        return place

    def _give_back(self) -> None:
        """Give a place to the first that waits and was not cancelled."""
        with self._lock:
            while self._waiting:
                place = self._waiting.popleft()
                if place.set_running_or_notify_cancel():
                    place.set_result(None)
                    return
            self._free += 1
