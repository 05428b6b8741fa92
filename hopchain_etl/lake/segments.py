"""Segments of the journal: the files that hold one model's answers about the photos of one shard.

A segment ``<number>.jsonl.zst`` is never changed. It is written only if its number is free. Merging segments copies
their lines to a new number and then deletes them; a kill in between leaves the same lines twice, which changes nothing.
If two segments have different lines for one key nevertheless, the lower number counts.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hopchain_etl.concurrency import map_threads, submit_ahead
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo, ObjectStore

JSON = dict[str, Any]
_SEGMENT = re.compile(r"/(\d{8,})\.jsonl\.zst$")
_CHUNK = 1 << 20  # bytes that are decompressed at once
_FULL = 32 << 20  # bytes: a segment of this size is not merged again, so that merging never holds much more
_THREADS = 16


@dataclass(frozen=True)
class Answer:
    """One answer of a model, as a line of a segment; see ``lake.journal``."""

    key: str
    blob_sha: str
    content: JSON
    said: JSON | None = None

    @property
    def id(self) -> str:
        """What tells answers apart: a blind question has the same key for each photo, and an answer of its own."""
        return answer_id(self.blob_sha, self.key)

    def to_line(self) -> bytes:
        """Return the answer's line; the same answer gives the same bytes."""
        facts = {"key": self.key, "blob_sha": self.blob_sha, "content": self.content}
        return canonical({**facts, "said": self.said} if self.said else facts) + b"\n"


class Segments:
    """The segments below one prefix of the lake, which ends with ``/``."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store, self._folder = store, folder
        self._last = 0  # the highest number that is known to be taken

    def listed(self) -> list[ObjectInfo]:
        """Return the segments in the order of their numbers."""
        numbered = ((_SEGMENT.search(entry.key), entry) for entry in self._store.list_objects(self._folder))
        found = {int(match[1]): entry for match, entry in numbered if match}
        self._last = max(self._last, *found, 0)  # also of those that gc has deleted since: numbers do not start again
        return [found[number] for number in sorted(found)]

    def unread(self, read: set[str]) -> Iterator[bytes]:
        """Yield the segments whose names (``_name``) are not in ``read``, and add these names to it."""
        while new := {one.key: name for one in self.listed() if (name := _name(one.key, one.size)) not in read}:
            try:
                with ThreadPoolExecutor(min(_THREADS, len(new))) as threads:
                    for key, data in submit_ahead(threads, self._store.get, new, _THREADS):
                        yield data.result()
                        read.add(new[key])
                return
            except MissingObjectError:  # another build has merged it after it was listed
                continue

    def append(self, answers: Iterable[Answer]) -> str | None:
        """Write a segment under the number after those that were listed last, and return its name for ``unread``.

        Returns None if another process has taken that number: read what it wrote, and try again.
        """
        segment = packed(answer.to_line() for answer in answers)
        key = self._write(segment)
        return _name(key, len(segment)) if key else None

    def merge(self) -> None:
        """Merge the segments into few. Those that other processes write meanwhile are left alone."""
        batch: list[str] = []
        size = 0
        for segment in self.listed():
            if segment.size >= _FULL:
                continue
            batch.append(segment.key)
            size += segment.size
            if size >= _FULL:
                self._merge(batch)
                batch, size = [], 0
        self._merge(batch)

    def copied(self) -> list[str]:
        """Return the keys of segments that a killed merge has copied and not deleted, in the order to delete them.

        A later segment begins with exactly their bytes. Costs nothing but a listing if there is one segment only.
        """
        listed = self.listed()
        small = [segment.key for segment in listed if segment.size < _FULL]
        if len(listed) < 2 or not small:
            return []
        first = self._store.get(small[0])
        for later in reversed(listed):
            if later.key != small[0] and (copy := self._store.get(later.key)).startswith(first):
                held, rest = list[str](), copy
                for key in small[: small.index(later.key) if later.key in small else None]:
                    if not rest.startswith(part := self._store.get(key)):
                        break
                    held.append(key)
                    rest = rest[len(part) :]
                return held[::-1]
        return []

    def forget(self, blob_shas: Collection[str]) -> int:
        """Remove every answer about these photos, from all versions of all segments; return how many there were.

        Other lines of their segments are written again first, so it can be cut off anywhere and repeated. Raises
        StoreError if old versions may not be deleted.
        """
        gone: set[str] = set()
        kept: set[str] = set()
        with_photo: set[str] = set()
        for segment in self.listed():
            answers = [Answer(**json.loads(line)) for line in lines(self._store.get(segment.key))]
            mine = {answer.id for answer in answers if answer.blob_sha in blob_shas}
            if not mine:
                kept.add(segment.key)
                continue
            gone |= mine
            with_photo.add(segment.key)
            if others := [answer for answer in answers if answer.id not in mine]:
                kept.add(self._copy(packed(answer.to_line() for answer in others)))
        if with_photo or self._store.versioned:
            self._erase_all_but(kept, with_photo)
        return len(gone)

    def answers(self) -> Iterator[Answer]:
        """Yield every answer with what was said."""
        seen: set[str] = set()
        for segment in self.unread(set()):
            for line in lines(segment):
                answer = Answer(**json.loads(line))
                if answer.id not in seen:
                    seen.add(answer.id)
                    yield answer

    def _erase_all_but(self, kept: Collection[str], last: Collection[str]) -> None:
        """Erase every other version of any segment, also of those that were merged or that gc has deleted.

        Those in ``last`` go last: while one is there, a repetition knows that something is left to do.
        """
        versions = (one for one in self._store.versions(self._folder) if _SEGMENT.search(one.key))
        others = [one for one in versions if one.key not in kept or not one.current]
        self._store.erase_versions(sorted(others, key=lambda one: (one.key in last, one.deleted)))

    def _key(self, number: int) -> str:
        return f"{self._folder}{number:08d}.jsonl.zst"

    def _write(self, segment: bytes) -> str | None:
        key = self._key(self._last + 1)
        if not self._store.put_if_absent(key, segment):
            return None
        self._last += 1
        return key

    def _copy(self, segment: bytes) -> str:
        """Write lines that are in the lake already once more, under the next number that is free; return the key."""
        while (key := self._write(segment)) is None:
            self._last += 1
        return key

    def _merge(self, keys: Sequence[str]) -> None:
        """Write the lines of these segments as one, then delete them."""
        if len(keys) < 2:
            return
        try:
            frames = map_threads(self._store.get, keys)
        except MissingObjectError:
            return  # another process is merging them
        self._copy(b"".join(frames))  # zstd frames one after the other are one stream
        self._store.delete(reversed(keys))  # so the lower numbers are there as long as any


def _name(key: str, size: int) -> str:
    """Return what tells a segment from one that had its number before gc deleted it."""
    return f"{key} {size}"


def answer_id(blob_sha: str, key: str) -> str:
    """Return ``Answer.id``."""
    return f"{blob_sha}/{key}"


def packed(lines: Iterable[bytes]) -> bytes:
    """Return lines as the bytes of a segment."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for line in lines:
            stream.write(line)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def lines(segment: bytes) -> Iterator[bytes]:
    """Yield the lines of a segment."""
    with pa.CompressedInputStream(pa.BufferReader(segment), "zstd") as stream:
        yield from io.BufferedReader(stream, _CHUNK)


def canonical(value: JSON) -> bytes:
    """Return JSON as it is stored; reading it back gives what a rerun works with."""
    return json.dumps(value, sort_keys=True).encode()
