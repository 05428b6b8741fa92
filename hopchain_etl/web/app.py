"""create_app: all pages and routes of the web application (desk, lead's page, browser).

Every route depends on the Airflow user. The plugin mounts it below Airflow's API server; see ``access`` for permissions
and ``guard`` for checks on every request.
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import logging
import os
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from hopchain_etl.annotation import error_reviews
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.migrate_votes import MigrationNeededError
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.settings import Settings
from hopchain_etl.templating import render
from hopchain_etl.web import adjudications, comments, lead_api, my_work, practice, proposals, reports, reviews
from hopchain_etl.web.access import Person, access_dependencies, airflow_user
from hopchain_etl.web.bodies import BATCH_PATTERN, Body, QueryId
from hopchain_etl.web.browser.routes import router as browser
from hopchain_etl.web.checks import Checks
from hopchain_etl.web.desk import SKIP, Desk
from hopchain_etl.web.errors import DeskError, Gone, NotFound, Unavailable
from hopchain_etl.web.guard import Guard
from hopchain_etl.web.guidelines import Guidelines
from hopchain_etl.web.guidelines import router as guidelines_router
from hopchain_etl.web.index import Index
from hopchain_etl.web.lead import LeadDesk
from hopchain_etl.web.people import People
from hopchain_etl.web.photo_cache import photo_headers, revalidated
from hopchain_etl.web.qualification import Qualification
from hopchain_etl.web.qualification import router as qualification_router
from hopchain_etl.web.submission import REASONS, Submission

log = logging.getLogger(__name__)

PREFIX = "/hopchain"
_ASSETS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png",
           ".woff2": "font/woff2"}  # fmt: skip
_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
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


class NothingBody(Body):
    pass


def create_app(settings: Settings | None = None, user: Callable[..., Awaitable[Any]] = airflow_user) -> FastAPI:
    """Return the application. ``user`` is the dependency that returns the user: Airflow's, except in tests."""
    settings = settings or Settings()
    lake = Lake(settings.lake)
    desk = Desk(lake, settings.desk)
    # no API docs, because their pages load external files
    app = FastAPI(title="HopChain annotation desk", openapi_url=None)
    app.state.desk = desk
    annotator, lead, viewer, anybody = access_dependencies(
        settings.desk, user, lambda name: _is_voided(desk.index, name)
    )
    app.include_router(_pages(anybody, lead, viewer))
    leading = LeadDesk(desk)
    guide = Guidelines(lake, settings.desk.refresh_seconds)
    qualification = Qualification(leading)
    notes = comments.Comments(leading)
    app.include_router(_annotation(desk, leading, guide, qualification, notes, annotator, anybody), prefix="/api")
    app.include_router(my_work.router(my_work.MyWork(leading, notes), notes, annotator, picture), prefix="/api/mine")
    app.include_router(guidelines_router(guide, annotator, lead, anybody), prefix="/api/guidelines")
    app.include_router(_practice(desk, qualification, annotator), prefix="/api")
    app.include_router(qualification_router(qualification, lead), prefix="/api/lead/qualification")
    app.include_router(reviews.router(reviews.Reviews(lake), annotator, lead, picture), prefix="/api/reviews")
    people = People(leading, settings)
    labels = adjudications.Adjudications(leading, people)
    app.include_router(lead_api.router(leading, people, Checks(leading), lead), prefix="/api/lead")
    app.include_router(comments.router(notes, lead), prefix="/api/lead/comments")
    app.include_router(adjudications.router(labels, lead), prefix="/api/lead/adjudications")
    app.include_router(reports.router(reports.Reports(leading, labels), lead), prefix="/api/lead/reports")
    app.include_router(proposals.router(lake, viewer), prefix="/proposals")
    app.include_router(browser(lambda: lake, viewer), prefix="/api/browse")
    app.add_middleware(Guard, origins=[os.environ.get("AIRFLOW__API__BASE_URL", "")])
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app


def _is_voided(index: Index, name: str) -> bool:
    index.refresh_if_stale()
    return name in index.voided


def _pages(anybody: Any, lead: Any, viewer: Any) -> APIRouter:
    router = APIRouter()

    @router.get("/", dependencies=[Depends(anybody)])
    def home() -> Response:
        return RedirectResponse("annotate")

    for name in ("annotate", "my-work", "errors", "guidelines"):
        router.add_api_route(f"/{name}", _page(f"{name}.html"), dependencies=[Depends(anybody)])
    for name, may in (("lead", lead), ("reports", lead), ("edit-guidelines", lead), ("browser", viewer)):
        router.add_api_route(f"/{name}", _page(f"{name}.html"), dependencies=[Depends(may)])

    @router.get("/assets/{name}", dependencies=[Depends(anybody)])
    def asset(name: str) -> Response:
        media = _ASSETS.get(name[name.rfind(".") :])
        if media is None or name not in _files():
            raise NotFound("no such file")
        return Response((_folder() / name).read_bytes(), media_type=media, headers={"Cache-Control": "no-cache"})

    return router


def _page(name: str) -> Callable[[], Response]:
    def page() -> Response:
        if name not in _files():
            raise NotFound(f"this version has no page {name}")
        return Response((_folder() / name).read_bytes(), media_type="text/html; charset=utf-8")

    return page


def _files() -> set[str]:
    return {file.name for file in _folder().iterdir()} if _folder().is_dir() else set()


def _folder() -> Any:
    return files("hopchain_etl.web") / "pages"


def _annotation(
    desk: Desk,
    leading: LeadDesk,
    guide: Guidelines,
    qualification: Qualification,
    notes: comments.Comments,
    annotator: Any,
    anybody: Any,
) -> APIRouter:
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
            "guidelines": guide.notice(one.name) if one.annotates else None,
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


def _practice(desk: Desk, qualification: Qualification, annotator: Any) -> APIRouter:
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


def picture(data: bytes, headers: dict[str, str]) -> Response:
    """Return image bytes with their media type; raise Gone if they are not a known image format."""
    media = next((media for magic, media in _MAGIC.items() if data.startswith(magic)), None)
    if media is None:
        raise Gone("this picture is damaged")
    return Response(data, media_type=media, headers=headers)


# --- errors ---


def _desk_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DeskError)
    if "text/html" in request.headers.get("accept", "") and error.status in (401, 403):  # a person opened a page
        html = render("web", "refused.html.j2", status=error.status, message=str(error))
        return Response(html, error.status, media_type="text/html; charset=utf-8")
    return JSONResponse({"error": error.code, "message": str(error)}, error.status)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    broken = any(one["type"] == "json_invalid" for one in found)
    message = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in found)
    code: Literal["bad_request", "invalid"] = "bad_request" if broken else "invalid"
    return JSONResponse({"error": code, "message": message[:1_000]}, 400 if broken else 422)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {401: "not_logged_in", 403: "not_allowed", 404: "not_found", 422: "invalid"}
    code = codes.get(error.status_code, "bad_request")
    return JSONResponse({"error": code, "message": str(error.detail)}, error.status_code)


def _unavailable(_: Request, error: Exception) -> Response:
    log.error("the lake did not respond: %s", error)  # details go only to the log, not to the page
    unavailable = Unavailable("the lake does not respond; your answer is not stored yet, send it again")
    return JSONResponse({"error": unavailable.code, "message": str(unavailable)}, unavailable.status)


def _not_migrated(_: Request, error: Exception) -> Response:
    log.error("%s", error)
    message = "an earlier version wrote this lake: an administrator must run `hopchain migrate` first"
    return JSONResponse({"error": Unavailable.code, "message": message}, Unavailable.status)


_HANDLERS: dict[type[Exception], Any] = {
    DeskError: _desk_error,
    RequestValidationError: _invalid,
    HTTPException: _http_error,
    StoreError: _unavailable,
    LakeError: _unavailable,
    MigrationNeededError: _not_migrated,
}
