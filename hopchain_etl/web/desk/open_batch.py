"""OpenBatch: what one API worker knows of a batch that is not settled: its questions, their votes, who may be asked."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from hopchain_etl.annotation.batch_details import NONE
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import VOTE_KEY, annotator_key, in_full_sample, votes_prefix
from hopchain_etl.annotation.workdays import Work
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import ConsensusRule, Decision
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.web.desk.folder import QuestionStatus, QuestionVotes, question_status
from hopchain_etl.web.desk.questions import Question


@dataclass(frozen=True)
class Waiting:
    """How many questions of a batch wait for answers; for how many there are too few people, and why.

    ``short``: fewer people have neither answered nor skipped the question than it has free seats. ``only_skips``: of
    these, the questions for which there would be enough people if nobody had skipped them. ``beyond_cap``: questions
    that wait for people who have their share, because there are too few others.
    """

    questions: int
    short: int
    only_skips: int
    beyond_cap: int = 0


class OpenBatch:
    """A batch with the cached state of its questions. Thread-safe.

    All that a worker knows of a batch is here, so that dropping the object when the batch is settled forgets all of it.
    ``continued``: the closed batches whose votes count here too, the oldest first. ``earlier``: who has answered each
    question in an earlier round, and is not asked it again.
    """

    def __init__(
        self,
        batch: Batch,
        continued: tuple[str, ...],
        questions: Mapping[str, Question],
        too_fast: float = 0,
        earlier: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.batch = batch
        self.rule = ConsensusRule.from_policy(batch.policy)
        self.continued = continued
        self.questions = questions
        self.closed = False
        self.assigned: frozenset[str] | None = None  # its annotators; None means all
        self.details = NONE
        self.people: frozenset[str] = frozenset()  # who may answer, as far as known: matters only where there is a cap
        self.query_ids: tuple[str, ...] = ()  # queries that can be shown (known and not withdrawn)
        self.decided = 0  # number of decided questions
        self._full_share = float(batch.policy.get("full_share", 0))
        self.is_fresh = bool(earlier)
        self._earlier: defaultdict[str, set[str]] = defaultdict(set)  # queries by annotator_key
        for query, people in (earlier or {}).items():
            for person in people:
                self._earlier[annotator_key(person)].add(query)
        self._too_fast = too_fast  # seconds
        self._work: Work = Counter()
        self._seen: dict[str, str] = {}  # when each annotator sent something last
        self._sent: defaultdict[tuple[str, str], set[str]] = defaultdict(set)  # queries by annotator and day
        self._unsure: set[str] = set()
        self._worked: dict[str, tuple[QuestionVotes, QuestionStatus]] = {}  # what the sum contains of each question
        self._folders: dict[str, QuestionVotes] = {}
        self._statuses: dict[str, QuestionStatus] = {}
        self._waiting: set[str] = set()
        self._answered: defaultdict[str, set[str]] = defaultdict(set)  # by annotator_key
        self._skipped: defaultdict[str, set[str]] = defaultdict(set)  # by annotator_key
        self._orders: dict[str, list[str]] = {}  # by annotator
        self._lock = threading.RLock()

    def asks(self, annotator: str) -> bool:
        """Return whether an annotator gets questions of this batch."""
        return not self.closed and self.is_for(annotator)

    def is_for(self, annotator: str) -> bool:
        """Return whether the batch, which may be closed, is assigned to an annotator."""
        return self.assigned is None or annotator in self.assigned

    def folder(self, query: str) -> QuestionVotes:
        """Return the cached folder of a question."""
        return self._folders.get(query) or QuestionVotes(self.batch.id, query)

    def status(self, query: str) -> QuestionStatus | None:
        """Return the cached state of a question."""
        return self._statuses.get(query)

    def answered(self, annotator: str) -> set[str]:
        """Return the questions that an annotator has answered."""
        return self._answered.get(annotator_key(annotator), set())

    def has_answered(self, annotator: str, query: str) -> bool:
        """Return whether an annotator has answered a question, here or in an earlier round."""
        me = annotator_key(annotator)
        return query in self._answered.get(me, ()) or query in self._earlier.get(me, ())

    @property
    def waits(self) -> bool:
        """Whether a question waits for answers."""
        return bool(self._waiting)

    def has_share(self, annotator: str) -> bool:
        """Return whether an annotator has answered as many questions as the cap lets one person answer."""
        return self.details.cap is not None and len(self.answered(annotator)) >= self.limit

    @property
    def limit(self) -> int:
        """How many questions one person should answer at most."""
        return self.details.limit(len(self.batch.query_ids))

    def may_answer(self, annotator: str, query: str) -> bool:
        """Return whether the cap lets an annotator answer a question: it gives way where too few others are left."""
        with self._lock:
            return not self.has_share(annotator) or self._lacks_others(query, self._below_cap(self.people))

    def _below_cap(self, people: Iterable[str]) -> set[str]:
        """Return the annotator_keys of who may answer and does not have their share yet."""
        keys = {annotator_key(one) for one in people if self.is_for(one)}
        if self.assigned is None:
            keys |= {key for key, queries in self._answered.items() if queries}
        return {key for key in keys if len(self._answered.get(key, ())) < self.limit}

    def _lacks_others(self, query: str, below: set[str]) -> bool:
        """Return whether those below the cap are too few for the free seats of a question that waits."""
        status = self._statuses.get(query)
        if status is None:
            return False
        folder, spare = self.folder(query), len(below) - len(status.free)
        if spare < 0 or (not self.is_fresh and spare >= len(status.taken) + len(folder.skips)):
            return spare < 0  # whoever these are: no names are compared, because a batch may have many questions
        cannot = {annotator_key(one) for one in status.people} | folder.skipped
        cannot |= {key for key, queries in self._earlier.items() if query in queries}
        return len(below & cannot) > spare

    def _done(self, annotator: str) -> set[str]:
        me = annotator_key(annotator)
        return self._answered.get(me, set()) | self._earlier.get(me, set())

    def skipped(self, annotator: str) -> set[str]:
        """Return the questions that an annotator has skipped and could still be asked."""
        with self._lock:
            return self._waiting & self._skipped_by(annotator) - self._done(annotator)

    def _skipped_by(self, annotator: str) -> set[str]:
        return self._skipped.get(annotator_key(annotator), set())

    def left(self, annotator: str) -> int:
        """Return how many questions an annotator could still be asked, without those beyond the cap."""
        with self._lock:
            left = len(self._waiting - self._done(annotator) - self._skipped_by(annotator))
            return max(0, min(left, self.limit - len(self.answered(annotator))))

    def candidates(self, annotator: str) -> Iterator[str]:
        """Yield the questions that ``annotator`` could be asked, in the annotator's own random order."""
        me = annotator_key(annotator)
        answered, earlier, skipped = self._answered[me], self._earlier.get(me, ()), self._skipped[me]
        below = self._below_cap(self.people) if self.has_share(annotator) else None
        for query in self._order(annotator):
            is_done = query in answered or query in earlier or query in skipped
            if query in self._waiting and not is_done and (below is None or self._lacks_others(query, below)):
                yield query

    def waiting(self, people: Iterable[str]) -> Waiting:
        """Return why questions wait, if only these people may be asked."""
        with self._lock:
            known = set(people)
            answered = {one: self._done(one) & self._waiting for one in known}
            asked = Counter(chain.from_iterable(answered.values()))
            skipped = Counter(query for one in known for query in self._skipped_by(one) - answered[one])
            below = self._below_cap(known) if self.details.cap is not None else None
            beyond = sum(self._lacks_others(query, below) for query in self._waiting) if below is not None else 0
            short = only_skips = 0
            for query in self._waiting:
                needed, unasked = len(self._statuses[query].free), len(known) - asked[query]
                willing = unasked - skipped[query]
                short += willing < needed
                only_skips += willing < needed <= unasked
            return Waiting(len(self._waiting), short, only_skips, max(0, beyond - short))

    def _order(self, annotator: str) -> list[str]:
        if len(self._orders.get(annotator, ())) != len(self.query_ids):
            seed = annotator_key(annotator).encode()
            ranked = sorted(self.query_ids, key=lambda query: hashlib.sha256(seed + query.encode()).digest())
            self._orders[annotator] = ranked
        return self._orders[annotator]

    def update(self, folder: QuestionVotes, voided: Container[str]) -> QuestionStatus:
        """Cache a folder and return the state of its question."""
        query = folder.query_id
        full = in_full_sample(query, self._full_share)
        status = question_status(folder, self.rule, full=full, voided=voided)
        with self._lock:
            self._forget(query)
            self._folders[query], self._statuses[query] = folder, status
            self._count_work(folder, status)
            if status.waits and query in self.questions:
                self._waiting.add(query)
            self.decided += status.outcome.decision is not Decision.OPEN
            if any(vote.unsure for vote in status.taken.values()):
                self._unsure.add(query)
            for person in status.people:
                self._answered[annotator_key(person)].add(query)
            for person in folder.skipped:
                self._skipped[person].add(query)
        return status

    def _count_work(self, folder: QuestionVotes, status: QuestionStatus) -> None:
        """Replace what the sum of work contains of a question; it stays when the question is not shown any more."""
        if before := self._worked.get(folder.query_id):
            self._work.subtract(before[0].work(before[1].taken.values(), self._too_fast))
        self._work.update(folder.work(status.taken.values(), self._too_fast))
        self._worked[folder.query_id] = folder, status
        for who, when in folder.seen():
            self._seen[who] = max(when, self._seen.get(who, ""))
            self._sent[who, when[:10]].add(folder.query_id)

    def sent_on(self, annotator: str, day: str) -> list[str]:
        """Return the questions about which an annotator sent something on a day (UTC, ISO 8601), taken back or not."""
        with self._lock:
            return list(self._sent.get((annotator, day), ()))

    @property
    def unsure(self) -> list[str]:
        """The questions of which somebody who answered asks the lead to look at them."""
        with self._lock:
            return sorted(self._unsure)

    def work(self) -> tuple[Work, dict[str, str]]:
        """Return what people did in this batch, and when each of them sent something last."""
        with self._lock:
            return +self._work, dict(self._seen)

    def show(self, query_ids: Iterable[str]) -> None:
        """Set which questions can be shown; the others count nowhere."""
        shown = tuple(query_ids)
        with self._lock:
            for query in self._statuses.keys() - set(shown):
                self._forget(query)
                del self._statuses[query]
            self.query_ids = shown

    def _forget(self, query: str) -> None:
        self._waiting.discard(query)
        self._unsure.discard(query)
        if old := self._statuses.get(query):
            self.decided -= old.outcome.decision is not Decision.OPEN
            for person in old.people:
                self._answered[annotator_key(person)].discard(query)
        if folder := self._folders.get(query):
            for person in folder.skipped:
                self._skipped[person].discard(query)

    # --- reading the lake ---

    def reload(self, lake: Lake, query: str, voided: Container[str]) -> tuple[QuestionVotes, QuestionStatus]:
        """Read a question's folder from the lake, cache it, and return it with the state of the question."""
        folder = self.folder(query).reload(lake)
        return folder, self.update(folder, voided)

    def load(self, lake: Lake, voided: Container[str], *, update_all: bool) -> None:
        """Update the folders from listings of the batch and of those that it continues, and read what is new."""
        listed: defaultdict[str, list[str]] = defaultdict(list)
        shown = set(self.query_ids)
        for name in self.continued:
            _list(lake, name, shown, listed, lambda key: bool(VOTE_KEY.fullmatch(key)))
        _list(lake, self.batch.id, shown, listed, lambda key: True)
        unread = [key for query, keys in listed.items() for key in self.folder(query).unread(keys)]
        read = zip(unread, map_threads(lambda key: _read(lake, key), unread), strict=True) if unread else ()
        contents = {key: data for key, data in read if data is not None}
        for query in self.query_ids:
            before = self.folder(query)
            after = before.listed(listed.get(query, ()), contents)
            if _grew(before, after) or query not in self._statuses or update_all:
                self.update(after, voided)


def _list(
    lake: Lake, name: str, wanted: Container[str], listed: defaultdict[str, list[str]], counts: Callable[[str], bool]
) -> None:
    for entry in lake.store.list_objects(votes_prefix(name)):
        query = entry.key.split("/", 3)[2]
        if query in wanted and counts(entry.key):
            listed[query].append(entry.key)


def _grew(before: QuestionVotes, after: QuestionVotes) -> bool:
    """Return whether a listing has new objects; one that started before our last write is outdated and ignored."""
    return not before.votes.keys() - after.votes.keys() and after != before


def _read(lake: Lake, key: str) -> bytes | None:
    try:
        return lake.store.get(key)
    except MissingObjectError:
        return None  # a lease that was removed after the listing
