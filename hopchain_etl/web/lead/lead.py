"""What a lead sees: batches and their progress, agreement and disagreements of annotators.

See also ``batch_changes`` (making and changing batches), ``people`` (voiding) and ``checks`` (gold).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hopchain_etl.annotation import batch_details, batches, collect
from hopchain_etl.annotation.agreement import measure
from hopchain_etl.annotation.batch_details import NONE, BatchDetails
from hopchain_etl.annotation.batches import Batch, ListedBatch
from hopchain_etl.annotation.settled import SettledBatch, settled_batches
from hopchain_etl.annotation.unasked import batches_asking
from hopchain_etl.annotation.withdrawn import withdrawn_of_batch
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.lake.lake import Shard
from hopchain_etl.web.desk.desk import Desk
from hopchain_etl.web.desk.questions import Question, as_question, read_questions
from hopchain_etl.web.errors import Gone, NotFound
from hopchain_etl.web.lead import answer_rows
from hopchain_etl.web.lead.batch_view import BatchView, Votes
from hopchain_etl.web.lead.hop_view import hop_view

JSON = dict[str, Any]

PATIENCE_SECONDS = 0.1  # that a lead waits for newer figures before older ones are shown
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
        listed, settled = batches.listed(self.lake), settled_batches(self.lake)
        details = batch_details.all_details(self.lake, listed)
        return [
            self._summary(name, listed[name], settled.get(name), details.get(name, NONE))
            for name in sorted(listed, reverse=True)
        ]

    def summary(self, name: str) -> JSON:
        """Return one batch with its progress."""
        return self._summary(name, self.listed(name), None, None)

    def listed(self, name: str) -> ListedBatch:
        """Return what a listing says of a batch; raise NotFound if there is no such batch."""
        found = batches.listed(self.lake).get(name)
        if found is None:
            raise NotFound(f"there is no batch {name!r}")
        return found

    def _summary(
        self, name: str, listed: ListedBatch, settled: SettledBatch | None, details: BatchDetails | None
    ) -> JSON:
        """Return a batch with its progress; one that cannot be read has the ``state`` broken, a reason and a remedy."""
        if broken := self.index.broken.get(name):
            return {"id": name, "state": "broken", "reason": broken.reason, "remedy": BROKEN_REMEDY}
        try:
            progress = _settled_progress(settled) if settled else _progress(self.show(name))
            assigned = batches.assigned(self.lake, name) if "assigned" in listed.states else None
            details = details or batch_details.load(self.lake, name, listed.details)
        except batches.UNREADABLE as error:
            return {"id": name, "state": "broken", "reason": str(error), "remedy": BROKEN_REMEDY}
        state = next((kind for kind in ("closed", "decided") if kind in listed.states), "open")
        now = datetime.fromtimestamp(self.desk.clock(), UTC)
        return {
            **progress,
            "state": state,
            "assigned": None if assigned is None else sorted(assigned),
            **asdict(details),
            "overdue": state == "open" and details.is_overdue(now),
        }

    def show(self, name: str, voided: Container[str] | None = None) -> BatchView:
        """Return a batch and its votes: from the desk's index, or from the answers table after it is final.

        In an open batch the votes of those in ``voided`` do not count; None: of all that are voided.
        """
        self.index.refresh_if_stale()
        kinds = self.index.states_of(name)
        kinds = self.listed(name).states if kinds is None else kinds  # made by another worker since the last refresh
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

    # --- quality ---

    def agreement(self, name: str) -> JSON:
        """Return the figures of a batch (see ``agreement.measure``)."""
        shown = self.show(name)
        programs = {query: row["answer"] for query, row in self.rows(name).items()}
        outcomes = {query: shown.outcome(query) for query in shown.votes}
        checks, voided = self.index.gold.answers(), self.index.voided
        return measure(shown.votes, shown.rule, shown.full, programs, checks, voided, outcomes)

    def disagreements(self, name: str, offset: int, limit: int) -> JSON:
        """Return the queries where annotators disagree, someone rejected or was unsure, or the program differs.

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
        columns = ("seat", "annotator", "answer", "reject_reason", "comment", "unsure", "seconds", "answered_at")
        return {
            "query_id": query,
            "lineage": shown.batch.lineage,
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
