"""ObjectStore: what the lake needs of a place that stores objects; ``stores.open_store`` opens one by its URI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hopchain_etl.errors import ReportedError
from hopchain_etl.settings import S3Settings


class StoreError(ReportedError):
    """The store could not be used; the message says where, why and what to do."""


class RefusedError(StoreError):
    """The key, or this process, may not do that with this object; the same request will be refused again."""


class MissingObjectError(ReportedError, KeyError):
    """No object under that key."""


@dataclass(frozen=True)
class ObjectInfo:
    """One listed object. ``key`` is relative to the store's prefix; ``size`` in bytes; ``modified`` in UTC."""

    key: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Version:
    """One stored version of an object; without versioning there is only the current one.

    ``deleted`` is true for a delete marker, which has no bytes.
    """

    key: str
    id: str
    current: bool
    deleted: bool


@dataclass(frozen=True)
class Fetched:
    """The bytes of an object with the stored object metadata."""

    data: bytes
    etag: str
    metadata: dict[str, str]


class ObjectStore(ABC):
    """Objects under keys that are relative to the location in the settings.

    Thread-safe; ``calls`` counts requests by verb. Every method raises StoreError if the store cannot be used.
    ``write_pause``: seconds for which small writes that can go together should wait, because each request costs.
    """

    write_pause = 1.0

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings
        self.calls: Counter[str] = Counter()

    @abstractmethod
    def uri(self, key: str) -> str:
        """Return the full location of ``key``."""

    def get(self, key: str) -> bytes:
        """Return the bytes under ``key``; raise MissingObjectError if there are none."""
        return self.fetch(key).data

    @abstractmethod
    def fetch(self, key: str) -> Fetched:
        """Return bytes, etag and metadata of ``key``; raise MissingObjectError if there are none."""

    def download(self, key: str, path: Path) -> None:
        """Write the bytes of ``key`` to a file, a part at a time; raise MissingObjectError if there are none."""
        path.write_bytes(self.get(key))

    @abstractmethod
    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """Write ``data`` under ``key``, replacing any existing object."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write ``data`` only if ``key`` does not exist; return whether this call wrote it.

        If the reply to a put is lost, the retry finds its own bytes; this counts as written.
        """

    @abstractmethod
    def copy(self, key: str, source: ObjectStore, source_key: str, etag: str) -> bool:
        """Copy an object's bytes within the server, without its metadata, if it still has that ``etag``.

        Returns False if the server cannot do that. Upload the bytes then; that call reports the error.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete ``keys``; absent ones are fine. A bucket with versions keeps the old ones: see ``erase``."""

    @property
    def versioned(self) -> bool:
        """Whether the store keeps, or once kept, what is deleted or overwritten; True if that may not be asked."""
        return False

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield every version of the objects whose keys begin with ``prefix``, delete markers included."""
        yield from (Version(entry.key, "null", True, False) for entry in self.list_objects(prefix))

    def version(self, one: Version) -> bytes:
        """Return the bytes of a version that is no delete marker."""
        return self.get(one.key)

    def erase(self, keys: Iterable[str], *, keep_current: bool = False) -> None:
        """Delete every version of ``keys``, or all but the current one; absent keys are fine.

        Raises StoreError if the bucket keeps versions that may not be listed or deleted: then bytes would remain.
        """
        if not self.versioned:
            self.delete(() if keep_current else keys)
            return
        for key in keys:
            found = [one for one in self.versions(key) if one.key == key and not (one.current and keep_current)]
            self.erase_versions(sorted(found, key=lambda one: one.deleted))

    def erase_versions(self, versions: Iterable[Version]) -> None:
        """Delete these versions; raise StoreError if that is not allowed."""
        self.delete(one.key for one in versions)

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Return whether there is an object under ``key``."""

    @abstractmethod
    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with ``prefix``, in the store's order: AWS sorts keys, others may not."""

    @abstractmethod
    def list_folders(self, prefix: str = "") -> list[str]:
        """Return the names directly below ``prefix`` that hold further keys."""

    @abstractmethod
    def now(self) -> float:
        """Return the store's own time, in seconds since the epoch; ``ObjectInfo.modified`` is measured by it."""

    @abstractmethod
    def ensure_bucket(self) -> None:
        """Create the bucket or folder unless it exists already."""
