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
        self._last = max(found, default=0)
        return [found[number] for number in sorted(found)]

    def unread(self, read: set[str]) -> Iterator[bytes]:
        """Yield the segments whose keys are not in ``read``, and add these keys to it."""
        while new := [entry.key for entry in self.listed() if entry.key not in read]:
            try:
                with ThreadPoolExecutor(min(_THREADS, len(new))) as threads:
                    for key, data in submit_ahead(threads, self._store.get, new, _THREADS):
                        yield data.result()
                        read.add(key)
                return
            except MissingObjectError:  # another build has merged it after it was listed
                continue

    def append(self, answers: Iterable[Answer]) -> str | None:
        """Write a segment under the number after those that were listed last, and return its key.

        Returns None if another process has taken that number: read what it wrote, and try again.
        """
        return self._write(packed(answer.to_line() for answer in answers))

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

    def forget(self, blob_shas: Collection[str]) -> int:
        """Remove every answer about these photos, from all versions of all segments; return how many there were.

        Other lines of their segments are written again first, so it can be cut off anywhere and repeated. Raises
        StoreError if old versions may not be deleted.
        """
        gone: set[str] = set()
        live, with_photo = self.listed(), []
        merged_before = {self._key(number) for number in range(1, self._last)} - {segment.key for segment in live}
        for segment in live:
            answers = [Answer(**json.loads(line)) for line in lines(self._store.get(segment.key))]
            mine = {answer.id for answer in answers if answer.blob_sha in blob_shas}
            if not mine:
                continue
            gone |= mine
            with_photo.append(segment.key)
            if kept := [answer for answer in answers if answer.id not in mine]:
                self._copy(packed(answer.to_line() for answer in kept))
        if with_photo:  # these go last: while one is there, a repetition knows that something is left to do
            self._store.erase([*sorted(merged_before), *with_photo])
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

    def _key(self, number: int) -> str:
        return f"{self._folder}{number:08d}.jsonl.zst"

    def _write(self, segment: bytes) -> str | None:
        key = self._key(self._last + 1)
        if not self._store.put_if_absent(key, segment):
            return None
        self._last += 1
        return key

    def _copy(self, segment: bytes) -> None:
        """Write lines that are in the lake already once more, under the next number that is free."""
        while self._write(segment) is None:
            self._last += 1

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
