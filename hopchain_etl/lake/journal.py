"""The journal: raw model answers in the lake, so that no call is paid for twice.

All fingerprints share it. The answers of a model about the photos of a shard are the lines of a few segments,
``journal/<model>/intake=<i>/shard=<n>/<number>.jsonl.zst``; a photo is always in the same shard. A line holds

- ``key``: hash of everything that determines the answer (``engines.base.payload_hash``);
- ``blob_sha``: the photo, also if the model did not see it: each photo has its own answer to a blind question, and
  erasing a photo finds every answer about it;
- ``content``: what the engine made of the answer;
- ``said``: the model's literal text, only for people, to check a row later.

A stage reads the segments once, when it starts on a shard; lookups are then in memory. New answers are written every
``journal_flush_answers`` answers or ``journal_flush_seconds`` seconds, whichever is first: a kill repeats at most the
calls in flight and those since the last flush. Without ``journal_flush_seconds``, answers wait as long as the store
asks for (a second on S3, so that it gets some two requests a second at most, and not at all in a local folder), and at
least so long that flushing takes a twentieth of a processor's time at most.

A new segment is written only after everything before it was read, and without what is there already: if two builds
answer the same question, all later readers see the answer that was written first.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType

from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.lake.segments import JSON, Answer, Segments, canonical, lines

log = logging.getLogger(__name__)
_PAUSE, _LONGEST = 20, 30.0  # times the last flush's processor time, and seconds: how long answers wait by default


class Journal:
    """The journal of one shard, for all models: a context that writes what is left when it ends."""

    def __init__(self, lake: Lake, shard: Shard) -> None:
        self._lake, self._shard = lake, shard
        self._models: dict[str, ModelJournal] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with ExitStack() as closing:  # all are closed, also if closing one fails
            for model in self._models.values():
                closing.callback(model.close)

    def of(self, model: str) -> ModelJournal:
        """Return the answers of ``model``; they are read at the first call."""
        folder = model_folder(model)
        with self._lock:
            if folder not in self._models:
                self._models[folder] = ModelJournal(self._lake, folder, self._shard)
            return self._models[folder]

    def compact(self) -> None:
        """Merge the segments of each model that was used. For complete shards; errors are only logged."""
        for model in self._models.values():
            try:
                model.compact()
            except StoreError as error:
                log.warning("segments of the journal stay unmerged, which only costs requests: %s", error)


class ModelJournal:
    """The answers of one model about one shard's photos, which are read when this is made. Thread-safe.

    ``folder`` is the model's folder below ``journal/``.
    """

    def __init__(self, lake: Lake, folder: str, shard: Shard) -> None:
        self._segments = Segments(lake.store, _prefix(folder, shard))
        self._most = lake.settings.journal_flush_answers
        self._seconds = lake.settings.journal_flush_seconds
        self._contents: dict[str, bytes] = {}  # by id; compressed, because a shard can have 100,000 answers
        self._unsaved: dict[str, Answer] = {}
        self._read: set[str] = set()  # names of the segments whose lines are in ``_contents``
        self._timer: threading.Timer | None = None
        self._least = self._wait = lake.store.write_pause  # seconds until the next flush, if no setting says it
        self._lock = threading.RLock()
        self._refresh()

    def get(self, answer_id: str) -> JSON | None:
        """Return the content of the answer with that ``Answer.id``."""
        compressed = self._contents.get(answer_id)
        if compressed is None:
            return None
        content: JSON = json.loads(zlib.decompress(compressed))
        return content

    def put(self, answer: Answer) -> JSON:
        """Add an answer, to be written as the settings say; return its content exactly as a rerun will read it.

        If there is one with this id already, that one stays and its content is returned.
        """
        with self._lock:
            self._add(answer)
            if len(self._unsaved) >= self._most:
                self.flush()
            elif self._unsaved and self._timer is None:
                self._start_timer()
            content = self.get(answer.id)
            assert content is not None
            return content

    def put_all(self, answers: Iterable[Answer]) -> None:
        """Add answers and write those that are new as one segment."""
        with self._lock:
            for answer in answers:
                self._add(answer)
            self.flush()

    def flush(self) -> None:
        """Write the answers that are not in the lake yet as a new segment."""
        with self._lock:
            self._stop_timer()
            if not self._unsaved:
                return
            began = time.thread_time()
            while self._unsaved:
                self._refresh()  # what another build wrote meanwhile was first
                if self._unsaved and (name := self._segments.append(self._unsaved.values())):
                    self._read.add(name)
                    self._unsaved.clear()
            self._wait = max(self._least, min(_LONGEST, _PAUSE * (time.thread_time() - began)))

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        self._contents.clear()

    def compact(self) -> None:
        """Merge the segments, if more than one was seen."""
        if len(self._read) > 1:
            self._segments.merge()

    def _add(self, answer: Answer) -> None:
        if answer.id not in self._contents:
            self._contents[answer.id] = _compressed(answer.content)
            self._unsaved[answer.id] = answer

    def _refresh(self) -> None:
        """Read new segments. Their answers replace those that are not written yet, but not those written before."""
        for segment in self._segments.unread(self._read):
            for line in lines(segment):
                answer = Answer(**json.loads(line))
                if self._unsaved.pop(answer.id, None) or answer.id not in self._contents:
                    self._contents[answer.id] = _compressed(answer.content)

    def _start_timer(self) -> None:
        self._timer = threading.Timer(self._wait if self._seconds is None else self._seconds, self._flush_late)
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _flush_late(self) -> None:
        """Write answers that have waited long enough. An error that lasts is raised by the next flush of the stage."""
        try:
            self.flush()
        except StoreError as error:
            log.warning("%d answers are not in the journal yet: %s", len(self._unsaved), error)
            with self._lock:
                self._wait = _LONGEST
                self._stop_timer()
                self._start_timer()


def forget(lake: Lake, shard: Shard, blob_shas: Collection[str]) -> int:
    """Remove every model's answers about these photos of a shard; return how many there were.

    Run it while no build is running. It can be cut off anywhere and repeated.
    """
    models = set(lake.store.list_folders("journal/"))
    if lake.store.versioned:  # also those of which gc has left older versions only
        models |= {one.key.split("/")[1] for one in lake.store.versions("journal/")}
    return sum(Segments(lake.store, _prefix(model, shard)).forget(blob_shas) for model in sorted(models))


def answers(lake: Lake, shard: Shard) -> Iterator[tuple[str, Answer]]:
    """Yield every answer about a shard's photos, after the folder of its model: to look into rows by hand."""
    for model in lake.store.list_folders("journal/"):
        for answer in Segments(lake.store, _prefix(model, shard)).answers():
            yield model, answer


def model_folder(model: str) -> str:
    """Return the name of a model's folder below ``journal/``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", model)


def _prefix(model: str, shard: Shard) -> str:
    return f"journal/{model}/{shard.folder}"


def _compressed(content: JSON) -> bytes:
    return zlib.compress(canonical(content), 1)
