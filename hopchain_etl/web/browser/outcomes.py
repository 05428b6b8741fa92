"""What people and releases decided about queries, for the dataset browser: from settled records, never from all votes.

Of a settled batch the answers table is read once by each worker; open batches are in the desk's index; releases are in
views. Who leads sees names; other viewers see counts and values only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation import batches, collect
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.unasked import all_batches_asking
from hopchain_etl.annotation.votes import Vote
from hopchain_etl.hops.consensus import ConsensusRule, Decision
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.lake.lake import Part, Shard
from hopchain_etl.lake.object_store import MissingObjectError, StoreError
from hopchain_etl.release.git import RegistryError
from hopchain_etl.release.query_status import among, last_outcomes, released_queries, versions_with
from hopchain_etl.settings import Settings
from hopchain_etl.web.lead.lead import LeadDesk

log = logging.getLogger(__name__)

JSON = dict[str, Any]
State = Literal["not_asked", "open", "agreed", "disagreed", "rejected", "released"]
STATES: tuple[State, ...] = get_args(State)
_REGISTRY_SECONDS = 600.0  # that the list of releases may be old
_OF_VOTE = ("query_id", "annotator", "answer", "reject_reason", "comment", "unsure", "answered_at")
_KEPT_BATCHES = 16  # settled batches whose answers are in memory


class Outcomes:
    """The outcomes of queries in one API worker."""

    def __init__(self, leading: LeadDesk, settings: Settings) -> None:
        self._index = leading.index
        self._lake = leading.lake
        self._settings = settings
        self._answers = lru_cache(maxsize=_KEPT_BATCHES)(self._read_answers)
        self._states = lru_cache(maxsize=_KEPT_BATCHES)(self._count_states)
        self._releases: tuple[float, pa.Table | None] | None = None  # time.monotonic() of reading, and what
        self._reading = threading.Lock()

    def states(self, queries: Sequence[str]) -> dict[str, set[str]]:
        """Return for each query which of STATES it is in: one of people's, and ``released`` if it is in a version.

        Costs a listing and a few reads for all together.
        """
        self._index.refresh_if_stale()
        asking = all_batches_asking(self._lake, queries) if queries else {}
        listed = batches.listed(self._lake)
        released = self._released()
        taken = among(released, queries) if released is not None else set()
        found = {}
        for query in queries:
            decided = [self._state(name, query, listed) for name in sorted(asking.get(query, ()))]
            last = max((one for one in decided if one[0] != "open"), key=lambda one: one[1], default=None)
            state = last[0] if last else "open" if decided else "not_asked"
            found[query] = {state, "released"} if query in taken else {state}
        return found

    def of_query(self, query: str, place: tuple[str, Shard], row: int, *, names: bool) -> JSON:
        """Return what people said of a query in each batch, and what became of it in releases."""
        (states,) = self.states([query]).values()
        asking = sorted(all_batches_asking(self._lake, [query]).get(query, ()))
        listed = batches.listed(self._lake)
        released = self._released()
        return {
            "states": [one for one in STATES if one in states],
            "batches": [found for name in asking if (found := self._batch(name, query, listed, names=names))],
            "releases": None if released is None else versions_with(released, query),
            "selection": last_outcomes(self._lake, self._settings.release.targets, place, row),
        }

    def _state(self, name: str, query: str, listed: Mapping[str, batches.ListedBatch]) -> tuple[str, str]:
        """Return a query's state in a batch, and the time of its newest answer there."""
        if home := self._index.open.get(name):
            status = home.status(query)
            if status is None or status.waits:
                return "open", ""
            votes = list(status.taken.values())
            at = max((one.answered_at for one in votes), default="")
            return _state(status.outcome.decision, any(one.reject_reason for one in votes)), at
        settled_at = listed[name].settled_at if name in listed else None
        if settled_at is None:
            return "open", ""
        try:
            return self._states(name, settled_at.isoformat()).get(query, ("open", ""))
        except batches.UNREADABLE:
            log.exception("the answers of batch %s cannot be read; its queries count as open", name)
            return "open", ""

    def _batch(self, name: str, query: str, listed: Mapping[str, batches.ListedBatch], *, names: bool) -> JSON | None:
        home = self._index.open.get(name)
        try:
            batch = home.batch if home else batches.load(self._lake, name)
            votes = self._votes(name, query)
        except batches.UNREADABLE:
            log.exception("the answers of batch %s cannot be read", name)
            return {"batch": name, "state": "cannot be read", "answers": [], "final": None}
        outcome = collect.decide([Vote.model_construct(**vote) for vote in votes], _rule(batch))
        return {
            "batch": name,
            "state": self._state(name, query, listed)[0],
            "final": None if outcome.answer is None else decimal_text(outcome.answer),
            "answers": votes_for_lead(votes) if names else values_for_viewer(votes),
        }

    def _votes(self, name: str, query: str) -> list[JSON]:
        if home := self._index.open.get(name):
            status = home.status(query)
            taken = sorted(status.taken.items()) if status else []
            return [{column: getattr(vote, column) for column in _OF_VOTE} for _, vote in taken]
        rows = self._answers_now(name)
        found: list[JSON] = rows.filter(pc.equal(rows["query_id"], query)).to_pylist()
        return found

    def _answers_now(self, name: str) -> pa.Table:
        """Return the answers of a settled batch; what is erased from the table is not kept here either."""
        batch = batches.load(self._lake, name)
        fingerprint = collect.lineage(batch).fingerprint
        marker = self._lake.marker("answers", fingerprint, Shard(name, 0))
        return self._answers(fingerprint, name, marker.parts if marker else ())

    def _read_answers(self, fingerprint: str, name: str, parts: tuple[Part, ...]) -> pa.Table:
        folder = self._lake.folder("answers", fingerprint, Shard(name, 0))
        return self._lake.parts(folder, parts, schemas.ANSWERS, list(_OF_VOTE))

    def _count_states(self, name: str, settled_at: str) -> dict[str, tuple[str, str]]:
        """Return the state of each query of a settled batch, with the time of its newest answer.

        ``settled_at`` changes when votes of the batch count no more, or again.
        """
        batch, given = batches.load(self._lake, name), defaultdict[str, list[JSON]](list)
        for row in self._answers_now(name).to_pylist():
            given[row["query_id"]].append(row)
        rule = _rule(batch)
        found = {}
        for query, rows in given.items():
            decision = collect.decide(rows, rule).decision
            rejected = any(row["reject_reason"] for row in rows)
            found[query] = _state(decision, rejected), max(row["answered_at"] for row in rows)
        return found

    def _released(self) -> pa.Table | None:
        """Return the queries of all releases, as of at most ten minutes ago; None if there is no registry to read."""
        if not self._settings.registry.git_url:
            return None
        with self._reading:  # the registry is cloned once, however many people open the page together
            now = time.monotonic()
            if self._releases is None or now >= self._releases[0] + _REGISTRY_SECONDS:
                try:
                    self._releases = now, released_queries(self._lake, self._settings)
                except (RegistryError, StoreError, MissingObjectError, OSError):
                    log.exception("the registry cannot be read; the browser shows no releases")
                    self._releases = now, None
            return self._releases[1]


def votes_for_lead(votes: Sequence[JSON]) -> list[JSON]:
    """Return answers with who gave them, as leads see them on their own page."""
    return [{**{name: vote[name] for name in _OF_VOTE if name != "query_id"}, "count": 1} for vote in votes]


def values_for_viewer(votes: Sequence[JSON]) -> list[JSON]:
    """Return how often each answer or reject reason was given, without names, comments and times."""
    counts = Counter((vote["answer"], vote["reject_reason"]) for vote in votes)
    return [{"answer": answer, "reject_reason": reason, "count": many} for (answer, reason), many in counts.items()]


def _rule(batch: Batch) -> ConsensusRule:
    return ConsensusRule.from_policy(batch.policy)


def _state(decision: Decision, rejected: bool) -> str:
    if decision is Decision.KEPT:
        return "agreed"
    if decision is Decision.OPEN:
        return "open"
    return "rejected" if rejected else "disagreed"
