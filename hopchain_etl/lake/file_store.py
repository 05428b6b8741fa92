"""FileStore: a local folder with the promises of an object store, for trying things out and for fast tests."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from hopchain_etl.lake.object_store import (
    Fetched,
    MissingObjectError,
    ObjectInfo,
    ObjectStore,
    RefusedError,
    StoreError,
)
from hopchain_etl.settings import S3Settings

_UNFINISHED = ".unfinished"  # folder of files that are being written
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
_TRIES = 5  # a folder may vanish between its creation and its use, because the last file in it was deleted


class FileStore(ObjectStore):
    """The files below a folder; a key is a relative path. Files have no metadata and no versions.

    A file appears under its key complete or not at all, and ``put_if_absent`` is atomic between processes: it links a
    finished file to a name that must be free. One name cannot be both a file and a folder. Links are followed, unless
    they lead nowhere or to a folder that they lie in. Pipes, sockets and devices are not listed: they may never end.
    """

    write_pause = 0.0

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(settings)
        self._root = Path(settings.uri.removeprefix("file://"))

    def uri(self, key: str) -> str:
        return f"file://{self._root}/{key}"

    def fetch(self, key: str) -> Fetched:
        self.calls["get"] += 1
        try:
            with self._path(key).open("rb") as file:
                return Fetched(file.read(), _etag(os.fstat(file.fileno())), {})
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise MissingObjectError(self.uri(key)) from error
        except OSError as error:
            raise self._explained(error, key) from error

    def download(self, key: str, path: Path) -> None:
        self.calls["get"] += 1
        try:
            shutil.copyfile(self._path(key), path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise MissingObjectError(self.uri(key)) from error
        except OSError as error:
            raise self._explained(error, key) from error

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        if metadata:
            raise StoreError(f"{self.uri(key)}: files have no metadata; store {sorted(metadata)} elsewhere")
        self.calls["put"] += 1
        self._place(key, data, replace=True)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        while True:
            self.calls["put"] += 1
            try:
                return self._place(key, data, replace=False) or self.get(key) == data
            except MissingObjectError:
                continue  # deleted meanwhile: the name is free again

    def copy(self, key: str, source: ObjectStore, source_key: str, etag: str) -> bool:
        return False

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.calls["delete"] += 1
            path = self._path(key)
            try:
                path.unlink(missing_ok=True)
                self._prune(path.parent)
            except OSError as error:
                raise self._explained(error, key) from error

    def exists(self, key: str) -> bool:
        self.calls["head"] += 1
        try:
            return self._path(key).is_file()
        except OSError as error:
            raise self._explained(error, key) from error

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self.calls["list"] += 1
        folder, _, start = prefix.rpartition("/")
        place = self._path(folder) if folder else self._root
        try:
            yield from self._walk(place, f"{folder}/" if folder else "", start)
        except OSError as error:
            raise self._explained(error, prefix) from error

    def list_folders(self, prefix: str = "") -> list[str]:
        self.calls["list"] += 1
        try:
            entries = list(os.scandir(self._path(prefix.rstrip("/")) if prefix else self._root))
            return sorted(one.name for one in entries if one.name != _UNFINISHED and _is_folder(_facts(one)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._explained(error, prefix) from error

    def now(self) -> float:
        return time.time()

    def ensure_bucket(self) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._explained(error, "") from error

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if any(segment in ("", ".", "..") for segment in segments) or "\0" in key or segments[0] == _UNFINISHED:
            raise RefusedError(f"{self.uri(key)}: this key cannot be a file; rename the object, or use s3://")
        return self._root.joinpath(*segments)

    def _place(self, key: str, data: bytes, *, replace: bool) -> bool:
        """Write a file under its key; return False if it must not be replaced and exists."""
        path, unfinished = self._path(key), self._root / _UNFINISHED
        temporary = None
        try:
            unfinished.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=unfinished, delete=False) as file:
                temporary = Path(file.name)
                file.write(data)
            for _ in range(_TRIES):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    if replace:
                        temporary.replace(path)
                    else:
                        path.hardlink_to(temporary)
                except FileExistsError:
                    return False
                except FileNotFoundError:
                    continue
                return True
            raise FileNotFoundError(path.parent)
        except OSError as error:
            raise self._explained(error, key) from error
        finally:
            if temporary:
                temporary.unlink(missing_ok=True)

    def _prune(self, folder: Path) -> None:
        """Remove folders that have become empty: an object store has none."""
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or removed by another process
            folder = folder.parent

    def _walk(
        self, folder: Path, above: str, start: str = "", around: frozenset[tuple[int, int]] = frozenset()
    ) -> Iterator[ObjectInfo]:
        """Yield the files below a folder; ``around`` are those that it lies in: no link leads in circles."""
        try:
            found = [(entry.name, _facts(entry)) for entry in os.scandir(folder) if entry.name.startswith(start)]
            around |= {_identity(folder.stat())}
        except (FileNotFoundError, NotADirectoryError):
            return
        # as an object store orders keys: a folder's name counts with the slash after it
        for name, facts in sorted(found, key=lambda one: f"{one[0]}/" if _is_folder(one[1]) else one[0]):
            if facts is None:
                continue
            if _is_folder(facts):
                if (above or name != _UNFINISHED) and _identity(facts) not in around:
                    yield from self._walk(folder / name, f"{above}{name}/", around=around)
            elif stat.S_ISREG(facts.st_mode):
                modified = datetime.fromtimestamp(facts.st_mtime, UTC)
                yield ObjectInfo(f"{above}{name}", _etag(facts), facts.st_size, modified)

    def _explained(self, error: OSError, key: str) -> StoreError:
        kind, remedy = StoreError, "check the folder and its free space"
        if error.errno in _REFUSED:
            kind, remedy = RefusedError, "check the rights of the folder and the file, and the length of the name"
        return kind(f"{self.uri(key)}: {error.strerror or error}; {remedy}")


def _facts(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the facts of what an entry is or leads to; None if that is gone, or if its links lead in circles."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise


def _is_folder(facts: os.stat_result | None) -> bool:
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _etag(facts: os.stat_result) -> str:
    return f"{facts.st_ino:x}-{facts.st_mtime_ns:x}-{facts.st_size:x}"
