"""The lead's functions: batches and their progress, agreement and disagreements of annotators.

See also ``people`` (voiding) and ``checks`` (gold).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from hopchain_etl.annotation import batches, collect
from hopchain_etl.annotation.agreement import measure
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.eligibility import excluded_queries_of_lineage
from hopchain_etl.annotation.settled import SettledBatch, settled_batches
from hopchain_etl.annotation.unasked import batches_asking, not_asked, unassigned_queries
from hopchain_etl.annotation.vote_archive import unpack
from hopchain_etl.annotation.withdrawn import withdrawn_of_batch
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.lake.lake import LakeError, Shard
from hopchain_etl.lake.lock import LockHeldError, LockLostError
from hopchain_etl.web.desk.desk import Desk
from hopchain_etl.web.desk.questions import Question, as_question, read_questions
from hopchain_etl.web.errors import Conflict, Gone, Invalid, NotFound
from hopchain_etl.web.lead import answer_rows
from hopchain_etl.web.lead.assignment import check_seats
from hopchain_etl.web.lead.batch_view import BatchView, Votes
from hopchain_etl.web.lead.hop_view import hop_view

JSON = dict[str, Any]

PATIENCE_SECONDS = 0.1  # that a lead waits for newer figures before older ones are shown
OTHERS_SECONDS = 10.0  # that a lead's request waits for another batch to be stored
BROKEN_REMEDY = (
    "The other batches go on. Build the named shard again (model answers are in the journal and not asked for again), "
    "restore the named object from a backup, or close this batch."
)


class LeadDesk:
    """The lead's part of the desk in one API worker."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.lake = desk.lake
        self.index = desk.index
        self._rows = lru_cache(maxsize=4)(self._read_rows)
        self._questions = lru_cache(maxsize=8)(lambda name: read_questions(self.lake, self._batch(name)))

    # --- batches ---

    def batches(self) -> list[JSON]:
        """Return every batch with its progress, newest first; of settled ones without reading their answers."""
        self.index.refresh_shortly(older_than=2, patience=PATIENCE_SECONDS)
        states, settled = batches.batch_states(self.lake), settled_batches(self.lake)
        return [self._summary(name, states[name], settled.get(name)) for name in sorted(states, reverse=True)]

    def summary(self, name: str) -> JSON:
        """Return one batch with its progress."""
        return self._summary(name, self._states(name), None)

    def _states(self, name: str) -> frozenset[str]:
        kinds = batches.batch_states(self.lake).get(name)
        if kinds is None:
            raise NotFound(f"there is no batch {name!r}")
        return kinds

    def _summary(self, name: str, kinds: frozenset[str], settled: SettledBatch | None) -> JSON:
        """Return a batch with its progress; one that cannot be read has the ``state`` broken, a reason and a remedy."""
        if broken := self.index.broken.get(name):
            return {"id": name, "state": "broken", "reason": broken.reason, "remedy": BROKEN_REMEDY}
        try:
            progress = _settled_progress(settled) if settled else _progress(self.show(name))
            assigned = batches.assigned(self.lake, name) if "assigned" in kinds else None
        except batches.UNREADABLE as error:
            return {"id": name, "state": "broken", "reason": str(error), "remedy": BROKEN_REMEDY}
        return {
            **progress,
            "state": next((kind for kind in ("closed", "decided") if kind in kinds), "open"),
            "assigned": None if assigned is None else sorted(assigned),
        }

    def show(self, name: str, voided: Container[str] | None = None) -> BatchView:
        """Return a batch and its votes: from the desk's index, or from the answers table after it is final.

        In an open batch the votes of those in ``voided`` do not count; None: of all that are voided.
        """
        self.index.refresh_if_stale()
        kinds = self.index.states_of(name)
        kinds = self._states(name) if kinds is None else kinds  # made by another worker since the last refresh
        home = self.index.open.get(name)
        batch = home.batch if home else self._batch(name)
        if home is None:
            given = collect.valid_votes_by_query(self.lake, batch)
            return BatchView(batch, kinds, given, 0, withdrawn_of_batch(self.lake, batch))
        votes: Votes = {}
        known: dict[str, ConsensusOutcome] = {}
        late = 0
        for query in dict.fromkeys(batch.query_ids):
            folder, status = home.folder(query), home.status(query) if voided is None else None
            taken = status.taken if status else folder.taken(self.index.voided if voided is None else voided)
            votes[query] = [one for _, one in sorted(taken.items())]
            late += len(folder.late)
            known |= {query: status.outcome} if status else {}
        taken_back = self.lake.withdrawn()
        gone = frozenset(query for query, one in home.questions.items() if one.image_id in taken_back)
        return BatchView(batch, kinds, votes, late, gone, known)

    def create(self, name: str, by: str, source: str, **how: Any) -> JSON:
        """Store a new batch of queries that are in no batch, or of the open queries of a closed batch; return it."""
        try:
            batches.check_batch(name)
        except ValueError as error:
            raise Invalid(f"id: {error}") from error
        if name in batches.batch_states(self.lake):
            raise Conflict(f"batch {name!r} already exists")
        try:
            with batches.exclusively(self.lake, wait_seconds=OTHERS_SECONDS) as create_batch:
                batch = self._new_batch(name, by, source, **how)
                if batch.continues:
                    unpack(self.lake, batch.continues)
                if how.get("assigned") is not None:
                    earlier = self.show(batch.continues).votes if batch.continues else {}
                    given = {query: earlier.get(query, []) for query in batch.query_ids}
                    check_seats(how["assigned"], batch.seats, given)
                store_batch(create_batch, batch)
        except (LockHeldError, LockLostError) as error:
            raise Conflict("a build or another lead is making a batch just now; try again in a moment") from error
        if how.get("assigned") is not None:
            batches.assign(self.lake, name, how["assigned"])
        self.index.refresh()
        return self.summary(name)

    def _new_batch(self, name: str, by: str, source: str, **how: Any) -> Batch:
        continues = how.get("batch") if source == "open_of" else None
        if source == "open_of":
            queries, lineage, shards = self._open_queries(continues or "")
        else:
            queries, lineage, shards = self._unassigned_queries(how.get("lineage") or self._newest_lineage())
        if not queries:
            raise Invalid("there are no queries left: every query is already in a batch")
        limited = tuple(queries[: how.get("limit")])
        policy = batches.policy_of(self.desk.settings)
        return Batch(name, f"lead:{by}", limited, policy, lineage=lineage, shards=shards, continues=continues)

    def _open_queries(self, name: str) -> tuple[list[str], str | None, tuple[str, ...]]:
        """Return the open queries of a closed batch that no later batch asks, with their lineage and shards."""
        if "closed" not in self._states(name):
            raise Conflict("close that batch first: it is still open")
        closed = self.show(name)
        earlier = {name, *batches.continued(self.lake, closed.batch)}
        left = (query for query in closed.votes if query not in closed.withdrawn)
        queries = [query for query in left if closed.outcome(query).decision is Decision.OPEN]
        queries = not_asked(self.lake, queries, earlier)
        return queries, closed.batch.lineage, closed.batch.shards

    def _unassigned_queries(self, lineage: str) -> tuple[list[str], str | None, tuple[str, ...]]:
        """Return the queries of a lineage that are in no batch, with their lineage and shards."""
        by_shard = unassigned_queries(self.lake, lineage, excluded_queries_of_lineage(self.lake, lineage))
        return list(dict.fromkeys(itertools.chain(*by_shard.values()))), lineage, tuple(map(str, by_shard))

    def assign(self, name: str, annotators: Iterable[str] | None) -> JSON:
        """Assign a batch to these annotators (None: all); raise Invalid if they are too few for its open questions."""
        shown = self.show(name)
        if annotators is not None:
            annotators = list(annotators)
            given = ((query, votes) for query, votes in shown.votes.items() if query not in shown.withdrawn)
            left = {query: votes for query, votes in given if shown.outcome(query).decision is Decision.OPEN}
            check_seats(annotators, shown.batch.seats, left)
        batches.assign(self.lake, name, annotators)
        self.index.refresh()
        return self.summary(name)

    def close(self, name: str, by: str) -> JSON:
        """Close a batch, also one that cannot be read: its questions are not shown any more."""
        self._states(name)
        batches.close(self.lake, name, by)
        self.index.refresh()
        return self.summary(name)

    # --- quality ---

    def agreement(self, name: str) -> JSON:
        """Return the figures of a batch (see ``agreement.measure``)."""
        shown = self.show(name)
        programs = {query: row["answer"] for query, row in self.rows(name).items()}
        outcomes = {query: shown.outcome(query) for query in shown.votes}
        checks, voided = self.index.gold.answers(), self.index.voided
        return measure(shown.votes, shown.rule, shown.full, programs, checks, voided, outcomes)

    def disagreements(self, name: str, offset: int, limit: int) -> JSON:
        """Return the queries where annotators disagree, someone rejected, or the program has another answer.

        Those whose photo is withdrawn or erased are left out.
        """
        shown, rows, questions = self.show(name), self.rows(name), self.questions_of(name)
        found = [query for query in shown.votes if query in questions and shown.is_disputed(query, rows.get(query))]
        items = [self._item(shown, questions[query], rows.get(query)) for query in found[offset : offset + limit]]
        return {"total": len(found), "items": items}

    def _item(self, shown: BatchView, question: Question, row: JSON | None) -> JSON:
        query = question.query_id
        outcome, row = shown.outcome(query), row or {}
        views = [hop_view(hop, number) for number, hop in enumerate(row.get("hops") or (), start=1)]
        hops = [{key: value for key, value in hop.items() if key != "target"} for hop in views]
        columns = ("seat", "annotator", "answer", "reject_reason", "comment", "seconds", "answered_at")
        return {
            "query_id": query,
            "question": question.text,
            "image": f"api/queries/{query}/image?batch={shown.batch.id}",
            "width": question.width,
            "height": question.height,
            "program_answer": row.get("answer"),
            "expr": row.get("expr"),
            "decision": str(outcome.decision),
            "final": None if outcome.answer is None else decimal_text(outcome.answer),
            "hops": hops,
            "answers": [{key: getattr(one, key) for key in columns} for one in shown.votes[query]],
        }

    def answer_rows(self, name: str) -> Iterator[JSON]:
        """Return a batch's valid answers as rows (see ``answer_rows.answer_rows``)."""
        return answer_rows.answer_rows(self.show(name), self.rows(name))

    # --- queries ---

    def question(self, query: str, name: str | None = None) -> Question:
        """Return any question of any batch; raise NotFound otherwise, and Gone if its photo is withdrawn.

        ``name`` is a batch that asks it, if that is known; otherwise it must be looked up.
        """
        self.index.refresh_if_stale()
        found = self._find(query, name)
        if found is None:
            raise NotFound("this question is in no batch")
        if found.image_id in self.lake.withdrawn():
            raise Gone("this picture was removed")
        return found

    def _find(self, query: str, name: str | None) -> Question | None:
        home = self.index.batch_of(query)
        if found := home.questions.get(query) if home else None:
            return found
        if item := self.index.gold.items.get(query):
            return as_question(item)
        if found := self._asked_in(name, query) if name else None:
            return found
        last = batches_asking(self.lake, [query]).get(query)
        return self._asked_in(last, query) if last and last != name else None

    def _asked_in(self, name: str, query: str) -> Question | None:
        try:
            return self._questions(name).get(query)
        except batches.UNREADABLE:
            return None  # the list of batches says so

    def questions_of(self, name: str) -> Mapping[str, Question]:
        """Return the questions of a batch whose photos are not withdrawn."""
        home, withdrawn = self.index.open.get(name), self.lake.withdrawn()
        questions = home.questions if home else self._questions(name)
        return {query: one for query, one in questions.items() if one.image_id not in withdrawn}

    def rows(self, name: str) -> Mapping[str, JSON]:
        """Return the rows of a batch's queries, without withdrawn photos and columns that only the author needs."""
        withdrawn = self.lake.withdrawn()
        return {query: row for query, row in self._rows(name).items() if row["image_id"] not in withdrawn}

    def _read_rows(self, name: str) -> Mapping[str, JSON]:
        batch = self._batch(name)
        if batch.lineage is None:
            return {}
        lineage = batch.lineage
        wanted = set(batch.query_ids)
        shards = [Shard.parse(shard) for shard in batch.shards] or self.lake.completed_shards("queries", lineage)
        tables = map_threads(lambda shard: self.lake.read("queries", lineage, shard, withdrawn=()), shards)
        columns = ["query_id", "image_id", "question", "answer", "expr", "hops"]
        rows = (row for table in tables for row in table.select(columns).to_pylist())
        return {row["query_id"]: row for row in rows if row["query_id"] in wanted}

    def _batch(self, name: str) -> Batch:
        return batches.load(self.lake, name)

    def _newest_lineage(self) -> str:
        for name in reversed(batches.batch_states(self.lake)):
            with suppress(LakeError):
                if lineage := self._batch(name).lineage:
                    return lineage
        raise Invalid("fingerprint: required, because there is no batch yet to take it from")


def _progress(shown: BatchView) -> JSON:
    batch, rule = shown.batch, shown.rule
    tally = shown.tally()
    return {
        **_facts(batch, rule, len(batch.query_ids)),
        "seats_filled": sum(map(len, shown.votes.values())),
        **{str(decision): tally[decision] for decision in Decision},
        "withdrawn": len(shown.votes) - tally.total(),
        "late": shown.late,
        "full_sample": len(shown.full),
    }


def _settled_progress(batch: SettledBatch) -> JSON:
    return {
        **_facts(batch, ConsensusRule.from_policy(batch.policy), batch.queries),
        "seats_filled": batch.answers,
        "kept": batch.kept,
        "dropped": batch.dropped,
        "open": batch.open,
        "withdrawn": batch.withdrawn,
        "late": 0,
        "full_sample": batch.full_sample,
    }


def _facts(batch: Batch | SettledBatch, rule: ConsensusRule, queries: int) -> JSON:
    return {
        "id": batch.id,
        "created_by_run": batch.created_by_run,
        "lineage": batch.lineage,
        "queries": queries,
        "seats": rule.seats,
        "agree": rule.agree,
        "rule": str(rule),
        "seats_total": rule.seats * queries,
    }


def store_batch(create_batch: Callable[[Batch], Batch], batch: Batch) -> None:
    """Store a new batch; raise Conflict if there is one of this name."""
    try:
        stored = create_batch(batch)
    except LakeError as error:
        raise Conflict(f"batch {batch.id!r} already exists") from error
    if stored != batch:
        raise Conflict(f"batch {batch.id!r} already exists")
