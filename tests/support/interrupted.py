"""Sources and progress with which an ingest is cut off: by what cannot be reached, by what is slow, by a stop."""

from __future__ import annotations

import threading
import time

from hopchain_etl.lake.lake import Marker, Shard
from hopchain_etl.lake.object_store import Fetched, StoreError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.stages.runner import Accepted, Outcome


class Unreliable(S3Store):
    """A store that cannot be reached for keys with "far" in them."""

    def fetch(self, key: str) -> Fetched:
        if "far" in key:
            raise StoreError(f"{self.uri(key)}: connection refused")
        return super().fetch(key)


class Slow(S3Store):
    """A store that gives only five photos before the ingest is told to stop, and the others in their time."""

    stop = threading.Event()

    def fetch(self, key: str) -> Fetched:
        if key > "05":
            self.stop.wait(10)
            time.sleep(0.1)
        return super().fetch(key)


class Stopper:
    """Progress that asks for a stop once it has seen ``rows`` rows."""

    def __init__(self, rows: int, stop: threading.Event) -> None:
        self._left, self._stop = rows, stop

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome) -> None:
        assert isinstance(outcome, Accepted)
        self._left -= 1
        if not self._left:
            self._stop.set()

    def finish(self, marker: Marker, rows: int) -> None: ...
