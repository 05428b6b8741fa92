"""What annotators and leads write to each other about questions, and answers of which people are not sure.

An annotator sees only their own threads, and never a lead's name, a batch, or that a question is a check.
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from hopchain_etl.annotation import batches
from hopchain_etl.annotation import comments as stored
from hopchain_etl.annotation.comments import Message, Thread
from hopchain_etl.lake.lake import LakeError
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import Body, PersonName, QueryId, Said, now_text
from hopchain_etl.web.desk.questions import Question, as_question
from hopchain_etl.web.errors import Conflict
from hopchain_etl.web.lead.lead import PATIENCE_SECONDS, LeadDesk

JSON = dict[str, Any]

_MOST = 50  # threads of an annotator that are shown


class AnswerBody(Body):
    annotator: PersonName
    query_id: QueryId
    text: Said


class DoneBody(Body):
    annotator: PersonName
    query_id: QueryId


class Comments:
    """The comments of a lake in one API worker, which hears of answers every ``desk.refresh_seconds``."""

    def __init__(self, leading: LeadDesk) -> None:
        self._leading = leading
        self._index = leading.index
        self._lake = leading.lake
        self._unread: dict[str, tuple[float, int]] = {}  # by annotator: time.monotonic() of counting, and the number

    # --- annotators ---

    def unread(self, annotator: str) -> int:
        """Return the number of an annotator's threads with an answer that they have not seen."""
        counted_at, many = self._unread.get(annotator, (None, 0))
        now = time.monotonic()
        if counted_at is None or now >= counted_at + self._leading.desk.settings.refresh_seconds:
            many = sum(one.is_unread for one in stored.threads(self._lake, annotator))
            self._unread[annotator] = now, many
        return many

    def of(self, annotator: str) -> JSON:
        """Return an annotator's threads, the last changed first, without those whose photo is withdrawn."""
        every = sorted(stored.threads(self._lake, annotator), key=_changed, reverse=True)[:_MOST]
        found = list(zip(every, stored.messages(self._lake, every), strict=True))
        found.sort(key=lambda one: one[1][-1].at if one[1] else "", reverse=True)  # a listing knows only seconds
        return {"items": [self._told(one, said) for one, said in found if said and self._question(said)]}

    def _told(self, thread: Thread, said: list[Message]) -> JSON:
        question = self._question(said)
        texts = [{"by": "you" if one.kind == "comment" else "lead", "at": one.at, "text": one.text} for one in said]
        return {
            "query_id": thread.query_id,
            "question": question.text if question else None,
            "image": f"api/mine/{thread.query_id}/image",
            "unread": thread.is_unread,
            "messages": texts,
        }

    def comment(self, annotator: str, question: Question, text: str) -> None:
        """Store a comment of an annotator about a question."""
        home = self._index.batch_of(question.query_id)
        place = home.batch.id if home else None
        said = annotator, question.query_id, "comment", annotator, now_text(), text, place, asdict(question)
        stored.say(self._lake, Message(*said))

    def mark_read(self, annotator: str) -> None:
        """Store that an annotator has seen all answers."""
        for one in stored.threads(self._lake, annotator):
            if one.is_unread:
                stored.say(self._lake, Message(annotator, one.query_id, "read", annotator, now_text()))
        self._unread.pop(annotator, None)

    def question(self, annotator: str, query_id: str) -> Question | None:
        """Return the question of an annotator's thread; None if there is no such thread, or its photo is withdrawn."""
        thread = stored.thread(self._lake, annotator, query_id)
        (said,) = stored.messages(self._lake, [thread])
        return self._question(said)

    def _question(self, said: list[Message]) -> Question | None:
        """Return the question that was commented on; None if its photo is withdrawn."""
        held = next((one.question for one in said if one.question), None)
        if held is None:
            return None
        question = Question(**held)
        if question.image_id:
            return None if question.image_id in self._lake.withdrawn() else question
        item = self._index.gold.items.get(question.query_id)  # drawn, or of an earlier version: the index knows
        return as_question(item) if item else None

    # --- leads ---

    def open(self, offset: int, limit: int) -> JSON:
        """Return the threads that wait for a lead's answer, the oldest first. Costs a listing, and a read a message."""
        self._index.refresh_if_stale()
        waiting = sorted((one for one in stored.threads(self._lake) if one.is_open), key=_changed)
        shown = waiting[offset : offset + limit]
        items = [self._item(said) for said in stored.messages(self._lake, shown) if said]
        return {"total": len(waiting), "items": items}

    def _item(self, said: list[Message]) -> JSON:
        first, last = said[0], next(one for one in reversed(said) if one.kind == "comment")
        texts = [{"by": one.by, "at": one.at, "text": one.text} for one in said]
        facts = self._facts(first.query_id, last.batch, self._question(said))
        return {"annotator": first.annotator, **facts, "messages": texts}

    def _facts(self, query: str, batch: str | None, question: Question | None) -> JSON:
        return {
            "query_id": query,
            "batch": batch,
            "lineage": self._lineage(batch),
            "is_check": batch is None and query in self._index.gold.items,
            "question": question.text if question else None,
            "image": f"api/queries/{query}/image" + (f"?batch={batch}" if batch else "") if question else None,
        }

    def _lineage(self, batch: str | None) -> str | None:
        if batch is None:
            return None
        home = self._index.open.get(batch)
        try:
            return (home.batch if home else batches.load(self._lake, batch)).lineage
        except LakeError:
            return None

    def answer(self, lead: str, annotator: str, query_id: str, text: str) -> None:
        """Store a lead's answer; raise Conflict if the thread does not wait for one (any more)."""
        self._check_open(annotator, query_id)
        stored.say(self._lake, Message(annotator, query_id, "answer", lead, now_text(), text))

    def done(self, lead: str, annotator: str, query_id: str) -> None:
        """Store that a thread needs no answer; raise Conflict if it does not wait for one (any more)."""
        self._check_open(annotator, query_id)
        stored.say(self._lake, Message(annotator, query_id, "done", lead, now_text()))

    def _check_open(self, annotator: str, query_id: str) -> None:
        if not stored.thread(self._lake, annotator, query_id).is_open:
            raise Conflict("this comment is answered already, perhaps by another lead; reload the page to see it")

    def unsure(self, offset: int, limit: int) -> JSON:
        """Return the answers in batches that are not settled, and to checks, of which people are not sure.

        The newest first. Costs no read of votes; those of settled batches are among the disagreements of their batch.
        """
        self._index.refresh_shortly(older_than=2, patience=PATIENCE_SECONDS)
        withdrawn = self._lake.withdrawn()
        found: dict[tuple[str, str], JSON] = {}
        for name, home in sorted(self._index.open.items()):
            for query in home.unsure:
                question, status = home.questions.get(query), home.status(query)
                if question is None or status is None or question.image_id in withdrawn:
                    continue
                for vote in status.taken.values():
                    if vote.unsure:  # a batch that continues another has its votes too
                        found[query, vote.annotator] = {"batch": name, "question": question, **_said(vars(vote))}
        for sent in self._index.gold.answers():
            if sent.get("unsure") and (item := self._index.gold.items.get(sent["query_id"])):
                found[item.query_id, sent["annotator"]] = {"batch": None, "question": as_question(item), **_said(sent)}
        rows = sorted(found.items(), key=lambda one: str(one[1]["at"]), reverse=True)
        items = [
            {**row, **self._facts(query, row["batch"], row["question"])}
            for (query, _), row in rows[offset : offset + limit]
        ]
        return {"total": len(rows), "items": items}


def _said(sent: JSON) -> JSON:
    return {"annotator": sent["annotator"], "answer": sent["answer"], "at": sent["answered_at"]}


def _changed(thread: Thread) -> float:
    return thread.changed.timestamp() if thread.changed else 0.0


def router(comments: Comments, lead: Any) -> APIRouter:
    """Return the routes below ``/api/lead/comments``."""
    routes = APIRouter()
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type
    Offset = Annotated[int, Query(ge=0)]  # noqa: N806
    Limit = Annotated[int, Query(ge=1, le=100)]  # noqa: N806

    @routes.get("")
    def waiting(one: Lead, offset: Offset = 0, limit: Limit = 20) -> JSON:
        return comments.open(offset, limit)

    @routes.get("/unsure")
    def unsure(one: Lead, offset: Offset = 0, limit: Limit = 20) -> JSON:
        return comments.unsure(offset, limit)

    @routes.post("")
    def answer(one: Lead, body: AnswerBody) -> JSON:
        comments.answer(one.name, body.annotator, body.query_id, body.text)
        return {"stored": True}

    @routes.post("/done")
    def done(one: Lead, body: DoneBody) -> JSON:
        comments.done(one.name, body.annotator, body.query_id)
        return {"stored": True}

    return routes
