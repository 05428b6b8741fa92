"""Index: what one API worker knows of batches and votes, so that it need not list the lake each time.

The lake is the source of truth. The index may be stale; it only selects candidates. Before a question is shown, and
before an answer is stored, its folder is read from the lake, and the write itself fails if another request was faster.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hopchain_etl.annotation import batch_details, batches, votes
from hopchain_etl.annotation.batches import ListedBatch
from hopchain_etl.annotation.erased import erased
from hopchain_etl.annotation.gold import Gold
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.lake.migrate_votes import require_migrated
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.desk.folder import QuestionVotes
from hopchain_etl.web.desk.known_people import KnownPeople
from hopchain_etl.web.desk.open_batch import OpenBatch
from hopchain_etl.web.desk.questions import read_questions

log = logging.getLogger(__name__)

_PAUSE_FACTOR = 20  # a refresh that took one second is repeated at the earliest after this many seconds
_RETRY_SECONDS = 60  # between attempts to read a broken batch

Listed = dict[str, ListedBatch]


@dataclass(frozen=True)
class BrokenBatch:
    """A batch that cannot be read, why, and when it was tried last (time.monotonic())."""

    reason: str
    tried: float


class Index:
    """The open batches, the state of their questions, and the answered questions per annotator. Thread-safe."""

    def __init__(self, lake: Lake, settings: DeskSettings) -> None:
        self.lake = lake
        self.settings = settings
        self.gold = Gold(lake)
        self.open: dict[str, OpenBatch] = {}
        self.broken: dict[str, BrokenBatch] = {}
        self.voided: dict[str, votes.Tombstone] = {}
        self.erased: dict[str, str] = {}  # pseudonyms, under which nobody works, with the ETags of their records
        self._applied: frozenset[str] | None = None  # the voided that all open batches reckon with; None after an error
        self.known = KnownPeople(lake, settings)
        self._listed: Listed = {}
        self._withdrawn: frozenset[str] = frozenset()
        self._home: dict[str, str] = {}  # batch by query_id
        self._lock = threading.RLock()
        self._loading = threading.Lock()
        self._checked = False  # whether the lake has the current layout
        self._refreshed = 0.0  # time.monotonic(), in seconds; 0: never
        self._looked = 0.0
        self._pause = 0.0

    # --- cached state ---

    def batch_of(self, query_id: str) -> OpenBatch | None:
        """Return the open batch that contains a question."""
        return self.open.get(self._home.get(query_id, ""))

    def states_of(self, name: str) -> frozenset[str] | None:
        """Return the states of a batch as of the last refresh; None if there was no such batch."""
        listed = self._listed.get(name)
        return listed.states if listed else None

    def asking(self, annotator: str) -> list[OpenBatch]:
        """Return the open batches that an annotator gets questions of; what has priority comes first."""
        asking = (one for _, one in sorted(self.open.items()) if one.asks(annotator))
        return sorted(asking, key=lambda one: -one.details.rank)

    def is_hidden(self, annotator: str, query_id: str) -> bool:
        """Return whether a question of an annotator's batches, or a check, cannot be shown: its photo is withdrawn."""
        if query_id in self._home or query_id in self.gold.items:
            return False
        return self.gold.is_hidden(query_id) or any(
            query_id in home.questions and home.is_for(annotator) for home in list(self.open.values())
        )

    def candidates(self, annotator: str, home: OpenBatch) -> Iterator[str]:
        """Yield the questions of a batch that ``annotator`` could be asked, in the annotator's own random order."""
        return (query for query in home.candidates(annotator) if self._home.get(query) == home.batch.id)

    def progress(self, annotator: str, name: str | None) -> dict[str, Any]:
        """Return the progress of an annotator and of a batch."""
        home = self.open.get(name or "")
        return {
            "mine": self._count_answered(annotator),
            "batch": home.batch.id if home else None,
            "batch_title": home.details.title if home else "",
            "batch_queries": len(home.query_ids) if home else 0,
            "batch_decided": home.decided if home else 0,
            "batch_left_for_me": home.left(annotator) if home else 0,
            "skipped": sum(len(one.skipped(annotator)) for one in list(self.open.values()) if one.asks(annotator)),
        }

    def turn(self, annotator: str) -> int:
        """Return how many questions and checks an annotator has answered; it determines when a check is due."""
        return self._count_answered(annotator) + self.gold.count(annotator)

    def _count_answered(self, annotator: str) -> int:
        # a set, because a batch and the closed one that it continues have votes in common
        return len(set().union(*(home.answered(annotator) for home in list(self.open.values()))))

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
        """Refresh now and wait for it, unless the last refresh is less than ``older_than`` seconds ago.

        Without ``older_than``, broken batches are read again too.
        """
        with self._loading:
            if time.monotonic() >= self._refreshed + older_than:
                if not older_than:
                    self.broken = {}
                self._refresh()

    def refresh_shortly(self, older_than: float, patience: float) -> None:
        """Refresh if the last one is older than so many seconds, and wait for it for at most ``patience`` seconds.

        After that the caller shows what is known, and the refresh goes on: with very many votes, listing them takes
        longer than a person waits for a page.
        """
        if time.monotonic() < self._refreshed + max(older_than, self._pause / 4):
            return
        if self._refreshed == 0:
            self.refresh_if_stale()
        elif self._loading.acquire(blocking=False):
            running = threading.Thread(target=self._refresh_in_background, daemon=True)
            running.start()
            running.join(patience)
        elif self._loading.acquire(timeout=patience):
            self._loading.release()

    def look_for(self, query_id: str, older_than: float) -> None:
        """Refresh if another worker or a lead may have made a batch or check with this unknown question.

        Anybody can send any id, so this costs one listing of batches and one request, at most once in ``older_than``
        seconds; votes are listed only if a batch is new or has another state.
        """
        with self._loading:
            if time.monotonic() < max(self._refreshed, self._looked) + older_than:
                return
            self._looked = time.monotonic()
            if batches.listed(self.lake) != self._listed or self.gold.has_new(query_id):
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
        if not self._checked:
            require_known_format(self.lake)
            require_migrated(self.lake)
            self._checked = True
        self.voided = votes.voided(self.lake)
        applied, self._applied = self._applied, None
        self._withdrawn = self.lake.withdrawn()
        gone = erased(self.lake)
        # Objects of votes never change, unless somebody is erased: then nothing that was read before is trusted.
        fresh = self._load_batches(batches.listed(self.lake), anew=gone != self.erased)
        for home in self.open.values():
            if home not in fresh:
                home.load(self.lake, self.voided, update_all=applied != self.voided.keys())
        self._applied = frozenset(self.voided)
        if gone != self.erased:
            self.gold.forget_answers()
            self.erased = gone
        self.gold.refresh()
        self._refreshed = time.monotonic()
        self._pause = max(self.settings.refresh_seconds, _PAUSE_FACTOR * (self._refreshed - began))

    def _load_batches(self, listed: Listed, *, anew: bool) -> list[OpenBatch]:
        """Load the batches that are not settled; one that cannot be read is set aside, and the others go on.

        Returns those that are new, or all if they are read ``anew``. Their votes are read before anybody is asked one
        of their questions, because votes of the batches that they continue count too.
        """
        found: dict[str, OpenBatch] = {}
        broken: dict[str, BrokenBatch] = {}
        for name, state in listed.items():
            if "decided" in state.states:
                continue
            known = self.broken.get(name)
            if known and time.monotonic() < known.tried + _RETRY_SECONDS:
                broken[name] = known
                continue
            try:
                found[name] = self._load_batch(name, state, None if anew else self.open.get(name))
            except batches.UNREADABLE as error:
                log.exception("batch %s cannot be read; it is not shown, the other batches are", name)
                broken[name] = BrokenBatch(str(error), time.monotonic())
        home: dict[str, str] = {}
        # a question that was sent to fresh people is asked there, also while others of its first batch are open
        for name, one in sorted(found.items(), key=lambda pair: (pair[1].closed, not pair[1].is_fresh)):
            for query in one.query_ids:
                home.setdefault(query, name)
        fresh = [one for name, one in found.items() if self.open.get(name) is not one]
        for one in fresh:
            one.load(self.lake, self.voided, update_all=True)
        if any(one.details.cap is not None for one in found.values()):
            people = frozenset(self.known.names() - self.voided.keys())
            for one in found.values():
                one.people = people
        with self._lock:
            self._listed, self.open, self.broken, self._home = listed, found, broken, home
        return fresh

    def _load_batch(self, name: str, state: ListedBatch, home: OpenBatch | None) -> OpenBatch:
        if home is None:
            batch = batches.load(self.lake, name)
            questions, fast = read_questions(self.lake, batch), self.settings.too_fast_seconds
            earlier = votes.who_answered(self.lake, batches.earlier_rounds(self.lake, batch), batch.query_ids)
            home = OpenBatch(batch, batches.continued(self.lake, batch), questions, fast, earlier)
        home.closed = "closed" in state.states
        home.assigned = batches.assigned(self.lake, name) if "assigned" in state.states else None
        if home.details.number != state.details:
            home.details = batch_details.load(self.lake, name, state.details)
        known = ((query, home.questions.get(query)) for query in home.batch.query_ids)
        home.show(query for query, question in known if question and question.image_id not in self._withdrawn)
        return home


def without_leases(folder: QuestionVotes, keys: Iterable[str]) -> QuestionVotes:
    """Return a folder after leases were removed."""
    removed = set(keys)
    return replace(folder, leases={key: one for key, one in folder.leases.items() if key not in removed})
