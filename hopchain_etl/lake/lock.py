"""A lock in the lake for what must not run concurrently: ingest, the reading of labels, the making of a batch.

Each holder owns a numbered object, written with ``If-None-Match: *``; the highest number holds the lock until it is
released or has not been renewed for ``ttl`` seconds. To take over a lock that is free, a process writes the next number
and lists again: only who wrote the highest number holds the lock. A process that listed long ago may write a number
that others have used and deleted since; numbers are deleted only after a higher one was written, so it sees that one.

Ages are measured by the store's clock alone, since clocks of hosts differ: by when an object was written, and by the
time that the store states.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo, StoreError

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


class LockHeldError(ReportedError):
    """Another process holds the lock and did not release it in time."""


class LockLostError(Exception):
    """This process could not renew its lock, so another may hold it now. What is stored so far is complete."""


class Lease:
    """A held lock. ``lost`` is set before it runs out unrenewed, or when another process has taken it."""

    def __init__(self, lake: Lake, key: str, ttl: float, asked: float, on_lost: Callable[[], None]) -> None:
        """``asked``: when the lock was written or earlier, by ``time.monotonic``."""
        self._lake = lake
        self._key = key
        self._ttl = ttl
        self._margin = ttl / 8  # seconds before the end from which on the lock counts as lost
        self._on_lost = on_lost
        self._renewed = asked
        self._released = threading.Event()
        self.lost = threading.Event()

    def check(self) -> None:
        """Raise LockLostError if the lock was lost, or may be because the store does not answer."""
        if self.lost.is_set() or time.monotonic() > self._renewed + self._ttl - self._margin:
            raise LockLostError(f"the lock {self._lake.store.uri(self._key)} was lost; run it again to continue")

    def keep(self) -> None:
        """Renew the lock until it is released or lost; errors of the store are borne as long as the lease lasts."""
        while not self._released.wait(self._ttl / 4):
            try:
                if not self._renew():
                    log.error("the lock %s was renewed too late, or another process has taken it", self._key)
                    return self._lose()
            except StoreError as error:
                log.warning("the lock %s was not renewed: %s", self._key, error)
            if time.monotonic() + self._ttl / 4 > self._renewed + self._ttl - self._margin:
                log.error("the lock %s could not be renewed and runs out", self._key)
                return self._lose()
        return None

    def end(self) -> None:
        """Let ``keep`` return."""
        self._released.set()

    def release(self) -> None:
        """Give the lock back, unless it is lost; after ``keep`` has returned, which could renew it otherwise."""
        if not self.lost.is_set():
            self._lake.store.put(self._key, _holder(0))

    def _renew(self) -> bool:
        """Renew the lock; return False if another process has taken it, or may have before the store wrote it."""
        asked = time.monotonic()
        held = _holders(self._lake, self._key.rpartition("/")[0] + "/")
        if not held or held[-1].key != self._key:
            return False
        self._lake.store.put(self._key, _holder(self._ttl))
        if time.monotonic() > self._renewed + self._ttl:
            return False
        self._renewed = asked
        return True

    def _lose(self) -> None:
        self.lost.set()
        self._on_lost()


@contextmanager
def lake_lock(
    lake: Lake, name: str, *, wait_seconds: float = 600, ttl: float = 60, on_lost: Callable[[], None] = lambda: None
) -> Iterator[Lease]:
    """Hold the lake's lock ``name``, waiting up to ``wait_seconds``; raise LockHeldError after that.

    ``on_lost`` is called by the thread that renews the lock. Call ``check`` of the lease before each step that another
    holder must not see.
    """
    key, asked = _acquire(lake, f"locks/{name}/", wait_seconds, ttl)
    lease = Lease(lake, key, ttl, asked, on_lost)
    renewal = threading.Thread(target=lease.keep, daemon=True, name=f"lock-{name}")
    renewal.start()
    try:
        yield lease
    finally:
        lease.end()
        renewal.join()
        lease.release()


def _acquire(lake: Lake, folder: str, wait_seconds: float, ttl: float) -> tuple[str, float]:
    """Return the key of the lock, and when it was asked for."""
    deadline = time.monotonic() + wait_seconds
    while True:
        now, asked = lake.store.now(), time.monotonic()  # before the listing: a renewed lease must not look too old
        held = _holders(lake, folder)
        holder = _read(lake, held[-1]) if held else None
        if holder is None or holder.is_gone(now):
            if key := _take(lake, folder, [entry.key for entry in held], ttl):
                return key, asked
        elif time.monotonic() > deadline:
            raise LockHeldError(
                f"{lake.store.uri(held[-1].key)} is held by process {holder.pid} on {holder.host}; "
                f"wait for it, or for its lease to run out"
            )
        time.sleep(_POLL_SECONDS)


def _take(lake: Lake, folder: str, held: list[str], ttl: float) -> str | None:
    """Write the number after ``held`` and return its key; None if another process has that number or a higher one."""
    number = int(held[-1].rsplit("/", 1)[-1].removesuffix(".json")) + 1 if held else 0
    key = f"{folder}{number:010d}.json"
    if not lake.store.put_if_absent(key, _holder(ttl)):
        return None
    if _holders(lake, folder)[-1].key != key:
        lake.store.delete([key])
        return None
    lake.store.delete(held)
    return key


def _holders(lake: Lake, folder: str) -> list[ObjectInfo]:
    return sorted(lake.store.list_objects(folder), key=lambda entry: entry.key)


@dataclass(frozen=True)
class _Holder:
    """What an object of the lock says. ``written``: by the store's clock; ``ttl``: seconds, 0 if it was released."""

    host: str
    pid: int
    ttl: float
    written: float

    def is_gone(self, now: float) -> bool:
        """Return whether the lease ran out, or the process that held it no longer runs on this host."""
        if self.written + self.ttl <= now:
            return True
        return self.host == socket.gethostname() and not _is_alive(self.pid)


def _holder(ttl: float) -> bytes:
    value = {"host": socket.gethostname(), "pid": os.getpid(), "thread": threading.get_native_id(), "ttl": ttl}
    # Two renewals must not be the same bytes: a store may keep the time of an object that is written again unchanged.
    return json.dumps({**value, "renewed": time.time()}).encode()


def _read(lake: Lake, entry: ObjectInfo) -> _Holder:
    written = entry.modified.timestamp()
    try:
        value = json.loads(lake.store.get(entry.key))
    except MissingObjectError:  # another process took over the lock between listing and reading
        return _Holder("", 0, _POLL_SECONDS, written)
    if "ttl" not in value:  # of an earlier version, which wrote when the lease ends by its own clock
        return _Holder(value["host"], value["pid"], max(0.0, value["until"] - written), written)
    return _Holder(value["host"], value["pid"], value["ttl"], written)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
