"""ObjectStore: what the lake needs of a place that stores objects; ``stores.open_store`` opens one by its URI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from hopchain_etl.settings import S3Settings


class StoreError(Exception):
    """The store could not be used; the message says where, why and what to do."""


class MissingObjectError(KeyError):
    """No object under that key."""


@dataclass(frozen=True)
class ObjectInfo:
    """One listed object. ``key`` is relative to the store's prefix; ``size`` in bytes; ``modified`` in UTC."""

    key: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Fetched:
    """The bytes of an object with the stored object metadata."""

    data: bytes
    etag: str
    metadata: dict[str, str]


class ObjectStore(ABC):
    """Objects under keys that are relative to the location in the settings.

    Thread-safe; ``calls`` counts requests by verb. Every method raises StoreError if the store cannot be used.
    """

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

    @abstractmethod
    def erase(self, keys: Iterable[str]) -> None:
        """Delete ``keys`` with all their versions; absent ones are fine.

        Raises StoreError if the bucket keeps versions that may not be listed or deleted: then bytes would remain.
        """

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
