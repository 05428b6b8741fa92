"""Index: what one API worker knows of batches and votes, so that it need not list the lake each time.

The lake is the source of truth. The index may be stale; it only selects candidates. Before a question is shown, and
before an answer is stored, its folder is read from the lake, and the write itself fails if another request was faster.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hopchain_etl.annotation import batches, votes
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.gold import Gold
from hopchain_etl.annotation.votes import annotator_key, in_full_sample
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import ConsensusRule, Decision
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.folder import QuestionStatus, QuestionVotes, question_status
from hopchain_etl.web.questions import Question, read_questions

log = logging.getLogger(__name__)

_PAUSE_FACTOR = 20  # a refresh that took one second is repeated at the earliest after this many seconds


@dataclass(frozen=True)
class OpenBatch:
    """A batch that is not final yet, with its questions. ``assigned``: its annotators; None means all."""

    batch: Batch
    rule: ConsensusRule
    closed: bool
    assigned: frozenset[str] | None
    query_ids: tuple[str, ...]  # queries that can be shown (known and not withdrawn)

    def asks(self, annotator: str) -> bool:
        """Return whether an annotator gets questions of this batch."""
        return not self.closed and (self.assigned is None or annotator in self.assigned)


class Index:
    """The open batches, the state of their questions, and the answered questions per annotator. Thread-safe."""

    def __init__(self, lake: Lake, settings: DeskSettings) -> None:
        self.lake = lake
        self.settings = settings
        self.gold = Gold(lake)
        self.open: dict[str, OpenBatch] = {}
        self.voided: dict[str, dict[str, str]] = {}
        self._questions: dict[str, Question] = {}
        self._withdrawn: frozenset[str] = frozenset()
        self._home: dict[str, str] = {}  # batch by query_id
        self._folders: dict[str, QuestionVotes] = {}
        self._statuses: dict[str, QuestionStatus] = {}
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)  # by batch
        self._decided: Counter[str] = Counter()  # by batch
        self._answered: defaultdict[str, set[str]] = defaultdict(set)  # by annotator_key
        self._skipped: defaultdict[str, set[str]] = defaultdict(set)  # by annotator_key
        self._orders: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.RLock()
        self._loading = threading.Lock()
        self._refreshed = 0.0  # time.monotonic(), in seconds; 0: never
        self._pause = 0.0

    # --- cached state ---

    def question(self, query_id: str) -> Question | None:
        """Return a question of an open batch."""
        return self._questions.get(query_id) if query_id in self._home else None

    def batch_of(self, query_id: str) -> OpenBatch | None:
        """Return the open batch that contains a question."""
        return self.open.get(self._home.get(query_id, ""))

    def folder(self, query_id: str) -> QuestionVotes:
        """Return the cached folder of a question."""
        return self._folders.get(query_id) or QuestionVotes(query_id)

    def status(self, query_id: str) -> QuestionStatus | None:
        """Return the cached state of a question of an open batch."""
        return self._statuses.get(query_id)

    def candidates(self, annotator: str, home: OpenBatch) -> Iterator[str]:
        """Yield the questions of a batch that ``annotator`` could be asked, in the annotator's own random order."""
        me = annotator_key(annotator)
        waiting, answered, skipped = self._waiting[home.batch.id], self._answered[me], self._skipped[me]
        for query in self._order(annotator, home):
            if query in waiting and query not in answered and query not in skipped:
                yield query

    def progress(self, annotator: str, name: str | None) -> dict[str, Any]:
        """Return the progress of an annotator and of a batch."""
        with self._lock:
            me = annotator_key(annotator)
            answered = self._answered[me]
            home = self.open.get(name or "")
            left = self._waiting[home.batch.id] - answered - self._skipped[me] if home else set()
            return {
                "mine": len(answered),
                "batch": home.batch.id if home else None,
                "batch_queries": len(home.query_ids) if home else 0,
                "batch_decided": self._decided[home.batch.id] if home else 0,
                "batch_left_for_me": len(left),
            }

    def turn(self, annotator: str) -> int:
        """Return how many questions and checks an annotator has answered; it determines when a check is due."""
        return len(self._answered[annotator_key(annotator)]) + self.gold.count(annotator)

    def _order(self, annotator: str, home: OpenBatch) -> list[str]:
        key = annotator, home.batch.id
        if len(self._orders.get(key, ())) != len(home.query_ids):
            seed = annotator_key(annotator).encode()
            self._orders[key] = sorted(home.query_ids, key=lambda query: hashlib.sha256(seed + query.encode()).digest())
        return self._orders[key]

    # --- updating the cache ---

    def reload_question(self, query_id: str) -> tuple[QuestionVotes, QuestionStatus]:
        """Read a question's folder from the lake, cache it, and return it with the state of the question."""
        folder = self.folder(query_id).reload(self.lake)
        return folder, self.update(folder)

    def update(self, folder: QuestionVotes) -> QuestionStatus:
        """Cache a folder and return the state of its question."""
        query = folder.query_id
        home = self.batch_of(query)
        rule = home.rule if home else ConsensusRule(self.settings.seats, self.settings.agree)
        status = question_status(folder, rule, full=self.in_full_sample(query, home), voided=self.voided)
        with self._lock:
            if home is None:
                return status
            self._forget(query)
            name = home.batch.id
            self._folders[query], self._statuses[query] = folder, status
            if status.waits:
                self._waiting[name].add(query)
            if status.outcome.decision is not Decision.OPEN:
                self._decided[name] += 1
            for person in status.people:
                self._answered[annotator_key(person)].add(query)
            for person in folder.skipped:
                self._skipped[person].add(query)
        return status

    def in_full_sample(self, query_id: str, home: OpenBatch | None) -> bool:
        """Return whether a question is answered on every seat, even if it is decided earlier."""
        return home is not None and in_full_sample(query_id, float(home.batch.policy.get("full_share", 0)))

    def _forget(self, query: str) -> None:
        name = self._home[query]
        self._waiting[name].discard(query)
        if old := self._statuses.get(query):
            if old.outcome.decision is not Decision.OPEN:
                self._decided[name] -= 1
            for person in old.people:
                self._answered[annotator_key(person)].discard(query)
        if folder := self._folders.get(query):
            for person in folder.skipped:
                self._skipped[person].discard(query)

    # --- periodic refresh ---

    def refresh_if_stale(self) -> None:
        """Refresh the index if it is older than the settings allow.

        The first caller waits; later refreshes run in a background thread while requests use the cached state.
        """
        if time.monotonic() < self._refreshed + self._pause:
            return
        if self._refreshed == 0:
            with self._loading:
                if self._refreshed == 0:
                    self._refresh()
        elif self._loading.acquire(blocking=False):
            threading.Thread(target=self._refresh_in_background, daemon=True).start()

    def refresh(self, older_than: float = 0.0) -> None:
        """Refresh now and wait for it, unless the last refresh is less than ``older_than`` seconds ago."""
        with self._loading:
            if time.monotonic() >= self._refreshed + older_than:
                self._refresh()

    def _refresh_in_background(self) -> None:
        try:
            self._refresh()
        except Exception:
            log.exception("the desk could not read the lake; it continues with cached data and retries")
            self._refreshed = time.monotonic()
        finally:
            self._loading.release()

    def _refresh(self) -> None:
        began = time.monotonic()
        before, self.voided = self.voided, votes.voided(self.lake)
        self._withdrawn = self.lake.withdrawn()
        self._load_batches()
        self._load_folders(update_all=before.keys() != self.voided.keys())
        self.gold.refresh()
        self._refreshed = time.monotonic()
        self._pause = max(self.settings.refresh_seconds, _PAUSE_FACTOR * (self._refreshed - began))

    def _load_batches(self) -> None:
        found = {}
        for name, kinds in batches.batch_states(self.lake).items():
            if "decided" in kinds:
                continue
            held = self.open.get(name)
            batch = held.batch if held else batches.load(self.lake, name)
            if any(query not in self._questions for query in batch.query_ids) and not held:
                self._questions.update(read_questions(self.lake, batch))
            shown = tuple(query for query in batch.query_ids if self._can_show(query))
            assigned = batches.assigned(self.lake, name) if "assigned" in kinds else None
            found[name] = OpenBatch(batch, ConsensusRule.from_policy(batch.policy), "closed" in kinds, assigned, shown)
        with self._lock:
            self.open = found
            home: dict[str, str] = {}
            for name, one in sorted(found.items(), key=lambda pair: pair[1].closed):
                for query in one.query_ids:
                    home.setdefault(query, name)
            for query in [query for query, name in self._home.items() if home.get(query) != name]:
                self._forget(query)
                self._statuses.pop(query, None)
            self._home = home

    def _can_show(self, query: str) -> bool:
        question = self._questions.get(query)
        return question is not None and question.image_id not in self._withdrawn

    def _load_folders(self, *, update_all: bool) -> None:
        listed: defaultdict[str, list[str]] = defaultdict(list)
        for entry in self.lake.store.list_objects("answers/"):
            query = entry.key.split("/", 2)[1]
            if query in self._home:
                listed[query].append(entry.key)
        unread = [key for query, keys in listed.items() for key in self.folder(query).unread(keys)]
        contents = {key: data for key, data in zip(unread, map_threads(self._read, unread), strict=True) if data}
        for query in list(self._home):
            before = self.folder(query)
            after = before.listed(listed.get(query, ()), contents)
            if self._grew(before, after) or query not in self._statuses or update_all:
                self.update(after)

    def _grew(self, before: QuestionVotes, after: QuestionVotes) -> bool:
        """Return whether a listing has new objects; one that started before our last write is outdated and ignored."""
        return not before.votes.keys() - after.votes.keys() and after != before

    def _read(self, key: str) -> bytes | None:
        try:
            return self.lake.store.get(key)
        except MissingObjectError:
            return None  # a lease that was removed after the listing


def without_leases(folder: QuestionVotes, keys: Iterable[str]) -> QuestionVotes:
    """Return a folder after leases were removed."""
    removed = set(keys)
    return replace(folder, leases={key: one for key, one in folder.leases.items() if key not in removed})
