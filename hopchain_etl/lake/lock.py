"""A lock in the lake for ingest, the only stage that must not run concurrently.

Each holder owns a numbered object, written with ``If-None-Match: *``; the highest number holds the lock until it is
released or has not been renewed for ``ttl`` seconds. To take over an expired lock, a process writes the next number;
only one process can succeed.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError

_POLL_SECONDS = 0.5


class LockHeldError(Exception):
    """Another process holds the lock and did not release it in time."""


@contextmanager
def lake_lock(lake: Lake, name: str, *, wait_seconds: float = 600, ttl: float = 60) -> Iterator[None]:
    """Hold the lake's lock ``name``, waiting up to ``wait_seconds``; raise LockHeldError after that."""
    key = _acquire(lake, name, wait_seconds, ttl)
    done = threading.Event()

    def renew() -> None:
        while not done.wait(ttl / 4):
            lake.store.put(key, _holder(ttl))

    renewal = threading.Thread(target=renew, daemon=True, name=f"lock-{name}")
    renewal.start()
    try:
        yield
    finally:
        done.set()
        renewal.join()
        lake.store.put(key, _holder(0))


def _acquire(lake: Lake, name: str, wait_seconds: float, ttl: float) -> str:
    deadline = time.monotonic() + wait_seconds
    while True:
        keys = sorted(entry.key for entry in lake.store.list_objects(f"locks/{name}/"))
        if not keys or _free(holder := _read(lake, keys[-1])):
            number = int(keys[-1].rsplit("/", 1)[-1].removesuffix(".json")) + 1 if keys else 0
            key = f"locks/{name}/{number:010d}.json"
            if lake.store.put_if_absent(key, _holder(ttl)):
                lake.store.delete(keys)
                return key
        elif time.monotonic() > deadline:
            raise LockHeldError(
                f"{lake.store.uri(keys[-1])} is held by process {holder['pid']} on {holder['host']}; "
                f"wait for it, or for its lease to run out"
            )
        time.sleep(_POLL_SECONDS)


def _holder(ttl: float) -> bytes:
    value = {"host": socket.gethostname(), "pid": os.getpid(), "thread": threading.get_native_id()}
    return json.dumps({**value, "until": time.time() + ttl}).encode()


def _read(lake: Lake, key: str) -> dict[str, float | int | str]:
    try:
        value: dict[str, float | int | str] = json.loads(lake.store.get(key))
    except MissingObjectError:  # another process took over the lock between listing and reading
        return {"host": "", "pid": 0, "until": time.time() + _POLL_SECONDS}
    return value


def _free(holder: dict[str, float | int | str]) -> bool:
    """Return whether the lease ran out, or the process that held it no longer runs on this host."""
    if float(holder["until"]) <= time.time():
        return True
    return holder["host"] == socket.gethostname() and not _alive(int(holder["pid"]))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
