"""Locks that are lost as soon as they are taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from hopchain_etl.lake.lock import Lease, LockLostError


def _lost(lease: Lease) -> None:
    raise LockLostError("lost")


@contextmanager
def stopped_by_a_lost_lock() -> Iterator[None]:
    """Expect the body to stop, because the lock that it takes is lost when it asks for the first time."""
    with mock.patch.object(Lease, "check", _lost), pytest.raises(LockLostError):
        yield
