"""An object store in memory that dies at a chosen write: for tests of what a kill at any point leaves behind."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import Fetched, MissingObjectError, ObjectInfo, ObjectStore, Version
from hopchain_etl.settings import LakeSettings


class KilledError(BaseException):
    """The process is killed: no code may handle it."""


class MemoryStore(ObjectStore):
    """What journal and migrations use of a store. ``writes_left``: how many writes and deletes come before the kill.

    ``history`` are all bytes that a versioned bucket would still hold, by key.
    """

    def __init__(self, objects: dict[str, bytes] | None = None, writes_left: int | None = None) -> None:
        self.objects = {} if objects is None else objects
        self.history: dict[str, list[bytes]] = {key: [data] for key, data in self.objects.items()}
        self.written = {key: datetime.now(UTC) for key in self.objects}
        self.writes_left = writes_left
        super().__init__(LakeSettings())

    def uri(self, key: str) -> str:
        return f"memory://{key}"

    def fetch(self, key: str) -> Fetched:
        self.calls["get"] += 1
        try:
            return Fetched(self.objects[key], _etag(self.objects[key]), {})
        except KeyError:
            raise MissingObjectError(key) from None

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        self._write("put")
        self.objects[key] = data
        self.written[key] = datetime.now(UTC)
        self.history.setdefault(key, []).append(data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key not in self.objects:
            self.put(key, data)
        return self.objects[key] == data

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._write("delete")
            self.objects.pop(key, None)

    @property
    def versioned(self) -> bool:
        return True

    def versions(self, prefix: str = "") -> Iterator[Version]:
        for key, kept in sorted(self.history.items()):
            if key.startswith(prefix):
                last = len(kept) - 1 if key in self.objects else -1
                yield from (Version(key, str(n), n == last, False) for n, data in enumerate(kept) if data)

    def version(self, one: Version) -> bytes:
        return self.history[one.key][int(one.id)]

    def erase_versions(self, versions: Iterable[Version]) -> None:
        for one in versions:
            self._write("delete")
            if one.current:
                self.objects.pop(one.key, None)
            self.history[one.key][int(one.id)] = b""  # the other versions keep their numbers

    def erase(self, keys: Iterable[str], *, keep_current: bool = False) -> None:
        for key in keys:
            if keep_current:
                self.history[key] = [self.objects[key]] if key in self.objects else []
            else:
                self.delete([key])
                self.history.pop(key, None)

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self.calls["list"] += 1
        for key, data in sorted(self.objects.items()):
            if key.startswith(prefix):
                yield ObjectInfo(key, _etag(data), len(data), self.written.get(key, datetime.now(UTC)))

    def list_folders(self, prefix: str = "") -> list[str]:
        self.calls["list"] += 1
        below = (key.removeprefix(prefix).split("/") for key in self.objects if key.startswith(prefix))
        return sorted({parts[0] for parts in below if len(parts) > 1})

    def copy(self, key: str, source: ObjectStore, source_key: str, etag: str) -> bool:
        return False

    def now(self) -> float:
        return time.time()

    def ensure_bucket(self) -> None: ...

    def _write(self, verb: str) -> None:
        if self.writes_left == 0:
            raise KilledError
        if self.writes_left is not None:
            self.writes_left -= 1
        self.calls[verb] += 1


def _etag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def lake_in(store: ObjectStore, flush_answers: int = 64, flush_seconds: float | None = 60) -> Lake:
    """Return a lake over a store; no bucket is touched, nor is a client for one made, which would take .1 s."""
    nowhere = "file:///nowhere"
    lake = Lake(LakeSettings(uri=nowhere, journal_flush_answers=flush_answers, journal_flush_seconds=flush_seconds))
    lake.store = store
    return lake
