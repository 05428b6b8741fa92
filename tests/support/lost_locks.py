"""Locks that are lost as soon as they are taken, or while a shard is run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lock import Lease, LockLostError
from hopchain_etl.stages.runner import NoProgress


def _lost(lease: Lease) -> None:
    raise LockLostError("lost")


@contextmanager
def stopped_by_a_lost_lock() -> Iterator[None]:
    """Expect the body to stop, because the lock that it takes is lost when it asks for the first time."""
    with mock.patch.object(Lease, "check", _lost), pytest.raises(LockLostError):
        yield


class Usurper(NoProgress):
    """Progress that takes a lock away at the first row, and goes on when its holder is told to stop."""

    def __init__(self, lake: Lake, lock: str, told: threading.Event) -> None:
        self._lake, self._lock, self._told = lake, lock, told

    def advance(self, outcome: object) -> None:
        """Take the lock, and wait."""
        self._lake.put_json(f"locks/{self._lock}/{99:010d}.json", {"host": "elsewhere", "pid": 1, "ttl": 60})
        assert self._told.wait(60)
