"""What an annotator did today, for themselves: answers, rejects and skips, how long each can be changed, and the pace.

Checks with a known answer are listed like all other questions, and nothing here may tell them apart: not what is in a
row, nor which rows come, stay or can be changed. So all rows are as fresh as the desk's index, and rows about checks
follow those about batches where these end (see ``_without_marks_of_checks``).
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from hopchain_etl import schemas
from hopchain_etl.annotation import batches, collect
from hopchain_etl.annotation.workdays import milliseconds
from hopchain_etl.imaging.thumbnails import photo_jpeg
from hopchain_etl.lake.lake import Shard
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import QUERY_PATTERN, Body, NothingBody, QueryId, Said
from hopchain_etl.web.desk.open_batch import OpenBatch
from hopchain_etl.web.desk.questions import Question, as_question
from hopchain_etl.web.errors import NotFound
from hopchain_etl.web.image_responses import photo_headers, picture, revalidated
from hopchain_etl.web.lead.comments import Comments
from hopchain_etl.web.lead.lead import PATIENCE_SECONDS, LeadDesk

log = logging.getLogger(__name__)

JSON = dict[str, Any]

_RECENT = 8  # questions that a page names, because it has just sent something about them
_LEAST_ACTIVE_MS = 60_000  # of active time, before a pace says anything
_WIDTH = 240  # px of a small photo
_SAID = ("answer", "reject_reason", "comment", "unsure", "answer_id")


class CommentBody(Body):
    query_id: QueryId
    text: Said


@dataclass(frozen=True)
class Row:
    """Something that an annotator did. ``ended``: nobody can change it, because its batch asks no more."""

    question: Question
    at: str  # ISO 8601, UTC
    active_ms: int
    skipped: bool
    ended: bool
    said: JSON


class MyWork:
    """The annotators' own work in one API worker."""

    def __init__(self, leading: LeadDesk, comments: Comments) -> None:
        self._leading = leading
        self.desk = leading.desk
        self._index = leading.index
        self._lake = leading.lake
        self._comments = comments
        self._settled = lru_cache(maxsize=32)(self._read_settled)

    def today(self, annotator: str, recent: Iterable[str], offset: int, limit: int) -> JSON:
        """Return the counts of today (UTC), the pace, and up to ``limit`` rows from ``offset``, the newest first.

        ``recent`` are questions about which the page has just sent something, perhaps to another worker.
        """
        day = self._day()
        self._index.refresh_shortly(older_than=2, patience=PATIENCE_SECONDS)
        for query in list(recent)[:_RECENT]:
            self._look_again(annotator, query)
        rows = sorted(self._rows(annotator, day), key=lambda one: one.at, reverse=True)
        active = sum(one.active_ms for one in rows)
        counts = {
            "answers": sum("answer" in one.said for one in rows),
            "rejects": sum("reject_reason" in one.said for one in rows),
            "skips": sum(one.skipped for one in rows),
        }
        done = counts["answers"] + counts["rejects"]
        return {
            "day": day,
            **counts,
            "active_minutes": round(active / 60_000, 1),
            "per_hour": round(done * 3_600_000 / active) if active >= _LEAST_ACTIVE_MS else None,
            "now": datetime.fromtimestamp(self.desk.clock(), UTC).isoformat(timespec="seconds"),
            "total": len(rows),
            "items": [self._item(one) for one in rows[offset : offset + limit]],
        }

    def question(self, annotator: str, query_id: str) -> Question:
        """Return a question that an annotator has answered, skipped or commented on; raise NotFound otherwise."""
        self._index.refresh_if_stale()
        if self._index.gold.has_answered(annotator, query_id) and (item := self._index.gold.items.get(query_id)):
            return as_question(item)
        day = self._day()
        for home in list(self._index.open.values()):
            if query_id in home.questions and query_id in home.sent_on(annotator, day):
                return home.questions[query_id]
        for name, at in self._settled_on(day):
            if row := self._rows_of_settled(name, at, annotator).get(query_id):
                return row.question
        if question := self._comments.question(annotator, query_id):
            return question
        raise NotFound("this question is not in your work of today")

    def any_question(self, annotator: str, query_id: str) -> Question:
        """Return a question that an annotator may comment on: one that they may be asked, or of their work of today."""
        try:
            return self.desk.question(annotator, query_id)
        except NotFound:
            return self.question(annotator, query_id)

    def _day(self) -> str:
        return datetime.fromtimestamp(self.desk.clock(), UTC).date().isoformat()

    def _look_again(self, annotator: str, query_id: str) -> None:
        home = self._index.batch_of(query_id)
        if home and home.is_for(annotator):
            home.reload(self._lake, query_id, self._index.voided)
        else:
            self._index.gold.look_for(annotator, query_id)

    def _item(self, row: Row) -> JSON:
        ends = datetime.fromisoformat(row.at) + timedelta(seconds=self.desk.settings.undo_seconds)
        query = row.question.query_id
        return {
            "query_id": query,
            "question": row.question.text,
            "image": f"api/mine/{query}/image",
            "at": row.at,
            "until": None if row.ended else ends.isoformat(timespec="seconds"),
            "skipped": row.skipped,
            **{name: row.said.get(name) for name in _SAID},
        }

    # --- collecting the rows ---

    def _rows(self, annotator: str, day: str) -> list[Row]:
        withdrawn = self._lake.withdrawn()
        found: dict[str, Row] = {}
        for home in list(self._index.open.values()):
            for query in home.sent_on(annotator, day):
                if query not in found and (row := self._row(annotator, query, home)) and row.at[:10] == day:
                    found[query] = row
        settled = self._settled_on(day)
        for name, at in settled:
            found = {**self._rows_of_settled(name, at, annotator), **found}
        shown = [row for row in found.values() if row.question.image_id not in withdrawn]
        checks = list(self._rows_of_checks(annotator, day))
        settled_at = max((at for _, at in settled), default="")
        return shown + self._without_marks_of_checks(annotator, checks, shown, settled_at)

    def _row(self, annotator: str, query: str, home: OpenBatch) -> Row | None:
        """Return what stands of what an annotator sent about a question: in the batch that asks it, or in ``home``."""
        now = self._index.batch_of(query) or home
        for place in dict.fromkeys((now, home)):
            question, status, folder = place.questions.get(query), place.status(query), place.folder(query)
            if question is None or status is None:
                continue
            ended = place is not now or not place.asks(annotator)
            counted = (one for one in status.taken.values() if one.annotator == annotator)
            late = (one for one in folder.late.values() if one.annotator == annotator)
            if vote := next(counted, None) or max(late, key=lambda one: one.answered_at, default=None):
                return _row_of(question, vars(vote), ended=ended)
            if skip := folder.skips.get(folder.skip_key(annotator)):
                active = milliseconds(skip.active_seconds)
                return Row(question, skip.skipped_at, active, skipped=True, ended=ended, said={})
        return None

    def _rows_of_checks(self, annotator: str, day: str) -> Iterator[Row]:
        for query, sent in self._index.gold.sent_on(annotator, day).items():
            if item := self._index.gold.items.get(query):
                row = _row_of(as_question(item), sent, ended=False)
                yield replace(row, skipped=bool(sent.get("skipped")))

    def _without_marks_of_checks(
        self, annotator: str, checks: list[Row], others: list[Row], settled_at: str
    ) -> list[Row]:
        """Return the rows of checks so that they begin, stay and end like those of batches.

        Skips go when a batch is settled, and nothing can be changed any more when it asks no more.
        """
        asking = any(home.asks(annotator) for home in list(self._index.open.values()))
        ended_at = max((one.at for one in others if one.ended), default="") if asking else "~"
        kept = (one for one in checks if not (one.skipped and one.at[:19] <= settled_at[:19]))
        return [replace(one, ended=one.at <= ended_at) for one in kept]

    # --- batches that were settled today ---

    def _settled_on(self, day: str) -> list[tuple[str, str]]:
        """Return the batches that were settled on a day, with the time (ISO 8601, UTC)."""
        listed = batches.listed(self._lake).items()
        times = ((name, one.settled_at.astimezone(UTC).isoformat()) for name, one in listed if one.settled_at)
        return [(name, at) for name, at in times if at[:10] == day]

    def _rows_of_settled(self, name: str, at: str, annotator: str) -> dict[str, Row]:
        votes = self._votes_of_settled(name, at, annotator).to_pylist()
        questions = self._leading.questions_of(name) if votes else {}
        asked = ((vote, questions.get(vote["query_id"])) for vote in votes)
        return {vote["query_id"]: _row_of(question, vote, ended=True) for vote, question in asked if question}

    def _votes_of_settled(self, name: str, at: str, annotator: str) -> pa.Table:
        try:
            rows = self._settled(name, at)
        except batches.UNREADABLE:
            log.exception("the answers of batch %s cannot be read; people do not see theirs", name)
            return schemas.ANSWERS.empty_table()
        return rows.filter(pc.equal(rows["annotator"], annotator))

    def _read_settled(self, name: str, at: str) -> pa.Table:
        """Return the answers of the day on which a batch was settled; read once by each worker."""
        batch = batches.load(self._lake, name)
        fingerprint, shard = collect.lineage(batch).fingerprint, Shard(name, 0)
        marker = self._lake.marker("answers", fingerprint, shard)
        if marker is None:  # nobody has answered
            return schemas.ANSWERS.empty_table()
        rows = self._lake.parts(self._lake.folder("answers", fingerprint, shard), marker.parts, schemas.ANSWERS)
        return rows.filter(pc.starts_with(rows["answered_at"], at[:10]))


def _row_of(question: Question, sent: JSON, *, ended: bool) -> Row:
    """Return a row for an answer or a reject, as votes, the table of answers and answers to checks have them."""
    seconds = sent.get("seconds") if sent.get("active_seconds") is None else sent["active_seconds"]
    said = {name: sent[name] for name in _SAID if sent.get(name) is not None}
    return Row(question, str(sent["answered_at"]), milliseconds(seconds), skipped=False, ended=ended, said=said)


def router(work: MyWork, comments: Comments, annotator: Any) -> APIRouter:
    """Return the routes below ``/api/mine``."""
    routes = APIRouter()
    Annotator = Annotated[Person, Depends(annotator)]  # noqa: N806 - a type

    @routes.get("")
    def today(
        one: Annotator,
        recent: Annotated[tuple[QueryId, ...], Query(max_length=_RECENT)] = (),
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 30,
    ) -> JSON:
        return work.today(one.name, recent, offset, limit)

    @routes.get("/{query_id}/image")
    def image(one: Annotator, query_id: Annotated[str, Path(pattern=QUERY_PATTERN)], request: Request) -> Response:
        question = work.question(one.name, query_id)
        work.desk.check_photo(question)
        etag = f"{question.blob_key.rpartition('/')[2]}-{_WIDTH}"
        known = revalidated(request, etag)
        return known or picture(photo_jpeg(work.desk.image(question), _WIDTH), photo_headers(etag))

    @routes.get("/comments")
    def threads(one: Annotator) -> JSON:
        return comments.of(one.name)

    @routes.post("/comments")
    def comment(one: Annotator, body: CommentBody) -> JSON:
        comments.comment(one.name, work.any_question(one.name, body.query_id), body.text)
        return {"stored": True}

    @routes.post("/comments/read")
    def read(one: Annotator, body: NothingBody) -> JSON:
        comments.mark_read(one.name)
        return {"unread": 0}

    return routes
