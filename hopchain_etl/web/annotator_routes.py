"""The routes of annotators: the next question, its photo, answers, skips, undo, and the practice round."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from hopchain_etl.annotation import error_reviews
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import BATCH_PATTERN, Body, NothingBody, QueryId
from hopchain_etl.web.desk import practice
from hopchain_etl.web.desk.desk import SKIP, Desk
from hopchain_etl.web.desk.submission import REASONS, Submission
from hopchain_etl.web.guidelines.routes import Guidelines
from hopchain_etl.web.image_responses import photo_headers, picture, revalidated
from hopchain_etl.web.lead.comments import Comments
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.qualification import Qualification

_DRAWN = {"Cache-Control": "private, max-age=86400"}  # pictures drawn by the project, never photos

Seconds = Annotated[float | None, Field(ge=0, le=86_400, allow_inf_nan=False)]


class AnswerBody(Body):
    answer_id: Annotated[UUID, Field(strict=False)]
    query_id: QueryId
    answer: str | None = Field(None, max_length=64)
    reject_reason: str | None = Field(None, max_length=32)
    comment: str | None = Field(None, max_length=500)
    seconds: Seconds = None
    active_seconds: Seconds = None
    unsure: bool | None = None


class QueryBody(Body):
    query_id: QueryId


class SkipBody(QueryBody):
    active_seconds: Seconds = None


class UndoBody(QueryBody):
    """``answer_id``: the answer that the page means; ``skipped``: it means a skip. Neither: whatever is there."""

    answer_id: Annotated[UUID | None, Field(strict=False)] = None
    skipped: bool = False

    @property
    def meant(self) -> str | None:
        """What the desk's ``undo`` expects."""
        return SKIP if self.skipped else str(self.answer_id) if self.answer_id else None


class PracticeBody(Body):
    answer: str = Field(max_length=64)


def annotator_routes(
    desk: Desk,
    leading: LeadDesk,
    guide: Guidelines,
    qualification: Qualification,
    notes: Comments,
    annotator: Any,
    anybody: Any,
) -> APIRouter:
    """Return what annotators ask below ``/api``: questions, photos, answers, skips, undo."""
    router = APIRouter()
    Annotator = Annotated[Person, Depends(annotator)]  # noqa: N806 - types
    Anybody = Annotated[Person, Depends(anybody)]  # noqa: N806

    @router.get("/me")
    def me(one: Anybody) -> dict[str, Any]:
        return {
            "name": one.name,
            "annotator": one.annotates,
            "lead": one.leads,
            "browser": one.browses,
            "practised": practice.done(desk.lake, one.name),
            "reviews": bool(error_reviews.names(desk.lake)),
            "guidelines": guide.notice(one.name, at_once=True) if one.annotates else None,
            "qualification": qualification.practice_state(one.name) if one.annotates else None,
            "unread": notes.unread(one.name) if one.annotates else 0,
            "undo_seconds": desk.settings.undo_seconds,
            "idle_seconds": desk.settings.idle_seconds,
            "reasons": [{"code": code, "label": label} for code, label in REASONS.items()],
        }

    @router.get("/next")
    def next_question(one: Annotator) -> dict[str, Any]:
        told = qualification.refusal(one.name) or desk.next_task(one.name)
        return {**told, "guidelines": guide.notice(one.name), "unread": notes.unread(one.name)}

    @router.get("/queries/{query_id}/image")
    def image(
        one: Anybody,
        query_id: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
        request: Request,
        batch: Annotated[str | None, Query(pattern=BATCH_PATTERN)] = None,
    ) -> Response:
        question = leading.question(query_id, batch) if one.leads else desk.question(one.name, query_id)
        desk.check_photo(question)
        etag = question.blob_key.rpartition("/")[2]  # the hash of the bytes
        return revalidated(request, etag) or picture(desk.image(question), photo_headers(etag))

    @router.post("/answers")
    def answer(one: Annotator, body: AnswerBody) -> dict[str, Any]:
        qualification.check_qualified(one.name)
        told = desk.submit(one.name, Submission(**body.model_dump() | {"answer_id": str(body.answer_id)}))
        qualification.after_answer(one.name, body.query_id)
        return told

    @router.post("/skips")
    def skip(one: Annotator, body: SkipBody) -> dict[str, Any]:
        qualification.check_qualified(one.name)
        return desk.skip(one.name, body.query_id, body.active_seconds)

    @router.post("/skips/return")
    def bring_back(one: Annotator, body: NothingBody) -> dict[str, Any]:
        return desk.bring_back(one.name)

    @router.post("/undo")
    def undo(one: Annotator, body: UndoBody) -> dict[str, Any]:
        return desk.undo(one.name, body.query_id, body.meant)

    return router


def practice_routes(desk: Desk, qualification: Qualification, annotator: Any) -> APIRouter:
    """Return the routes of the practice round below ``/api``."""
    router = APIRouter()
    Annotator = Annotated[Person, Depends(annotator)]  # noqa: N806 - a type

    @router.get("/practice")
    def practice_round(one: Annotator) -> dict[str, Any]:
        return {
            "tasks": qualification.practice_tasks(one.name),
            "practised": practice.done(desk.lake, one.name),
            "qualification": qualification.practice_state(one.name),
        }

    @router.get("/practice/{number}/image")
    def practice_image(one: Annotator, number: Annotated[int, Path(ge=0, lt=100)]) -> Response:
        return picture(practice.image(number, desk.settings.practice), _DRAWN)

    @router.post("/practice/{number}")
    def practise(one: Annotator, number: Annotated[int, Path(ge=0, lt=100)], body: PracticeBody) -> dict[str, Any]:
        return qualification.practise(one.name, number, body.answer)

    @router.post("/practised")
    def practised(one: Annotator, body: NothingBody) -> dict[str, Any]:
        practice.finish(desk.lake, one.name)
        return {"practised": True, "qualification": qualification.practice_state(one.name)}

    return router
