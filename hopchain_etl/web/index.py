"""In-memory index of one API worker, so that it does not list the lake for each request. The lake is the source of truth.

The index may be stale; it only selects candidates. Before a question is shown, and before an answer
is stored, its folder is read from the lake, and the write itself fails if another request was faster.
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
from hopchain_etl.annotation.gold import Gold, GoldItem
from hopchain_etl.annotation.votes import annotator_key, in_full_sample
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import ConsensusRule, Decision
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.folder import QuestionStatus, QuestionVotes, question_status

log = logging.getLogger(__name__)

_PATIENCE = 20  # a refresh that took one second is repeated at the earliest after this many seconds


@dataclass(frozen=True)
class Question:
    """The part of a query that annotators may see, and the location of its photo."""

    query_id: str
    image_id: str
    text: str
    width: int
    height: int
    blob_key: str


@dataclass(frozen=True)
class OpenBatch:
    """A batch that is not final yet, with its questions. ``assigned``: the assigned annotators; None means all."""

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
        self._home: dict[str, str] = {}  # query_id: batch
        self._folders: dict[str, QuestionVotes] = {}
        self._standings: dict[str, QuestionStatus] = {}
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)  # by batch
        self._decided: Counter[str] = Counter()  # by batch
        self._answered: defaultdict[str, set[str]] = defaultdict(set)  # by who
        self._skipped: defaultdict[str, set[str]] = defaultdict(set)  # by who
        self._orders: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.RLock()
        self._loading = threading.Lock()
        self._looked = 0.0
        self._pause = 0.0

    # --- what is remembered ---

    def question(self, query_id: str) -> Question | None:
        """Return a question of an open batch."""
        return self._questions.get(query_id) if query_id in self._home else None

    def batch_of(self, query_id: str) -> OpenBatch | None:
        """Return the open batch that contains a question."""
        return self.open.get(self._home.get(query_id, ""))

    def folder(self, query_id: str) -> QuestionVotes:
        """Return the cached folder of a question."""
        return self._folders.get(query_id) or QuestionVotes(query_id)

    def standing(self, query_id: str) -> QuestionStatus | None:
        """Return where a question of an open batch stands, as cached."""
        return self._standings.get(query_id)

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
            mine = self._answered[me]
            home = self.open.get(name or "")
            left = self._waiting[home.batch.id] - mine - self._skipped[me] if home else set()
            return {
                "mine": len(mine),
                "batch": home.batch.id if home else None,
                "batch_queries": len(home.query_ids) if home else 0,
                "batch_decided": self._decided[home.batch.id] if home else 0,
                "batch_left_for_me": len(left),
            }

    def turn(self, annotator: str) -> int:
        """Return how many questions somebody has answered, checks included: which determines when the next check is shown."""
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
        standing = question_status(folder, rule, full=self.in_full_sample(query, home), voided=self.voided)
        with self._lock:
            if home is None:
                return standing
            self._forget(query)
            name = home.batch.id
            self._folders[query], self._standings[query] = folder, standing
            if standing.waits:
                self._waiting[name].add(query)
            if standing.outcome.decision is not Decision.OPEN:
                self._decided[name] += 1
            for person in standing.people:
                self._answered[annotator_key(person)].add(query)
            for person in folder.skipped:
                self._skipped[person].add(query)
        return standing

    def in_full_sample(self, query_id: str, home: OpenBatch | None) -> bool:
        """Return whether everybody answers a question, even if it is decided earlier."""
        return home is not None and in_full_sample(query_id, float(home.batch.policy.get("full_share", 0)))

    def _forget(self, query: str) -> None:
        name = self._home[query]
        self._waiting[name].discard(query)
        if old := self._standings.get(query):
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
        if time.monotonic() < self._looked + self._pause:
            return
        if self._looked == 0:
            with self._loading:
                if self._looked == 0:
                    self._refresh()
        elif self._loading.acquire(blocking=False):
            threading.Thread(target=self._refresh_in_background, daemon=True).start()

    def refresh(self, older_than: float = 0.0) -> None:
        """Refresh now and wait for it, unless the last refresh is less than ``older_than`` seconds ago."""
        with self._loading:
            if time.monotonic() >= self._looked + older_than:
                self._refresh()

    def _refresh_in_background(self) -> None:
        try:
            self._refresh()
        except Exception:
            log.exception("the desk could not read the lake; it continues with cached data and retries")
            self._looked = time.monotonic()
        finally:
            self._loading.release()

    def _refresh(self) -> None:
        began = time.monotonic()
        before, self.voided = self.voided, votes.voided(self.lake)
        self._withdrawn = frozenset(self.lake.tombstones())
        self._load_batches()
        self._load_folders(anew=before.keys() != self.voided.keys())
        self.gold.refresh()
        self._looked = time.monotonic()
        self._pause = max(self.settings.refresh_seconds, _PATIENCE * (self._looked - began))

    def _load_batches(self) -> None:
        found = {}
        for name, kinds in batches.batch_states(self.lake).items():
            if "decided" in kinds:
                continue
            held = self.open.get(name)
            batch = held.batch if held else batches.load(self.lake, name)
            if any(query not in self._questions for query in batch.query_ids) and not held:
                self._questions.update(questions(self.lake, batch))
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
                self._standings.pop(query, None)
            self._home = home

    def _can_show(self, query: str) -> bool:
        question = self._questions.get(query)
        return question is not None and question.image_id not in self._withdrawn

    def _load_folders(self, *, anew: bool) -> None:
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
            if self._grew(before, after) or query not in self._standings or anew:
                self.update(after)

    def _grew(self, before: QuestionVotes, after: QuestionVotes) -> bool:
        """Return whether a listing has new objects. A listing that started before our last write is outdated and is ignored."""
        return not before.ballots.keys() - after.ballots.keys() and after != before

    def _read(self, key: str) -> bytes | None:
        try:
            return self.lake.store.get(key)
        except MissingObjectError:
            return None  # a lease that ended since it was listed


def questions(lake: Lake, batch: Batch) -> dict[str, Question]:
    """Return the questions of a batch; queries whose rows no longer exist are omitted."""
    if batch.lineage is None:
        log.warning("batch %s has no queries fingerprint; its queries are not shown", batch.id)
        return {}
    shards = [Shard.parse(shard) for shard in batch.shards] or lake.completed_shards("queries", batch.lineage)
    asked = set(batch.query_ids)

    def read(shard: Shard) -> list[Question]:
        rows = lake.read("queries", batch.lineage, shard, withdrawn=()).select(["query_id", "image_id", "question"])
        images = lake.read("images", None, shard, withdrawn=()).select(["image_id", "blob_sha", "width", "height"])
        by_id = {image["image_id"]: image for image in images.to_pylist()}
        return [
            Question(
                row["query_id"],
                row["image_id"],
                row["question"],
                by_id[row["image_id"]]["width"],
                by_id[row["image_id"]]["height"],
                f"blobs/{by_id[row['image_id']]['blob_sha']}",
            )
            for row in rows.to_pylist()
            if row["query_id"] in asked and row["image_id"] in by_id
        ]

    return {question.query_id: question for found in map_threads(read, shards) for question in found}


def as_question(item: GoldItem) -> Question:
    """Return a gold check in the form of a normal question."""
    return Question(item.query_id, "", item.question, item.width, item.height, item.blob_key)


def without_leases(folder: QuestionVotes, keys: Iterable[str]) -> QuestionVotes:
    """Return a folder after leases were removed."""
    gone = set(keys)
    return replace(folder, leases={key: one for key, one in folder.leases.items() if key not in gone})
