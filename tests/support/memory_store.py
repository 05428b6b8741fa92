"""An object store in memory, for tests that repeat a thing at every point where it can be cut off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from hopchain_etl.lake.object_store import Fetched, MissingObjectError, ObjectInfo, ObjectStore
from hopchain_etl.settings import S3Settings


class MemoryStore(ObjectStore):
    """Objects of one process."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(S3Settings(uri="s3://memory/lake"))
        self.objects = dict(objects)

    def uri(self, key: str) -> str:
        return f"s3://memory/lake/{key}"

    def fetch(self, key: str) -> Fetched:
        if key not in self.objects:
            raise MissingObjectError(self.uri(key))
        return Fetched(self.objects[key], hashlib.md5(self.objects[key]).hexdigest(), {})

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        self.objects[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) == data

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def copy(self, key: str, source: ObjectStore, source_key: str, etag: str) -> bool:
        return False

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                data = self.objects[key]
                yield ObjectInfo(key, hashlib.md5(data).hexdigest(), len(data), datetime.now(UTC))

    def list_folders(self, prefix: str = "") -> list[str]:
        rest = (key.removeprefix(prefix) for key in self.objects if key.startswith(prefix))
        return sorted({name.split("/")[0] for name in rest if "/" in name})

    def now(self) -> float:
        return time.time()

    def ensure_bucket(self) -> None:
        return
