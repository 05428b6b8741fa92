"""create_app: all pages and routes of the web application (desk, lead's page, browser).

Every route depends on the Airflow user. The plugin mounts it below Airflow's API server; see ``access`` for permissions
and ``guard`` for checks on every request.
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import logging
import os
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from hopchain_etl.hops.calibration import Thresholds
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.migrate_votes import MigrationNeededError
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.settings import Settings
from hopchain_etl.templating import render
from hopchain_etl.web import my_work, proposals, reviews
from hopchain_etl.web.access import access_dependencies, airflow_user
from hopchain_etl.web.annotator_routes import annotator_routes, practice_routes
from hopchain_etl.web.browser.outcomes import Outcomes
from hopchain_etl.web.browser.routes import router as browser
from hopchain_etl.web.desk.desk import Desk
from hopchain_etl.web.desk.index import Index
from hopchain_etl.web.errors import DeskError, NotFound, Unavailable
from hopchain_etl.web.guard import Guard
from hopchain_etl.web.guidelines.routes import Guidelines
from hopchain_etl.web.guidelines.routes import router as guidelines_router
from hopchain_etl.web.image_responses import picture
from hopchain_etl.web.lead import adjudications, comments, reports
from hopchain_etl.web.lead import routes as lead_api
from hopchain_etl.web.lead.batch_changes import BatchChanges
from hopchain_etl.web.lead.checks import Checks
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.people import People
from hopchain_etl.web.lead.qualification import Qualification
from hopchain_etl.web.lead.qualification import router as qualification_router

log = logging.getLogger(__name__)

PREFIX = "/hopchain"
_PAGES = Path(__file__).with_name("pages")
_ASSETS = {".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
# Pages, with their folder below pages/.
_FOR_ANYBODY = {"annotate": "desk", "my-work": "desk", "errors": "desk", "guidelines": "guidelines"}
_FOR_LEADS = {"lead": "lead", "reports": "lead", "edit-guidelines": "guidelines"}
_FOR_VIEWERS = {"browser": "browser"}


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
    told = annotator_routes(desk, leading, guide, qualification, notes, annotator, anybody)
    app.include_router(told, prefix="/api")
    app.include_router(my_work.router(my_work.MyWork(leading, notes), notes, annotator), prefix="/api/mine")
    app.include_router(guidelines_router(guide, annotator, lead, anybody), prefix="/api/guidelines")
    app.include_router(practice_routes(desk, qualification, annotator), prefix="/api")
    app.include_router(qualification_router(qualification, lead), prefix="/api/lead/qualification")
    app.include_router(reviews.router(reviews.Reviews(lake), annotator, lead, picture), prefix="/api/reviews")
    people = People(leading, settings)
    labels = adjudications.Adjudications(leading, people)
    changing = BatchChanges(leading, people, Thresholds(settings.calibrate.hard, settings.calibrate.medium))
    app.include_router(lead_api.router(leading, changing, people, Checks(leading), lead), prefix="/api/lead")
    app.include_router(comments.router(notes, lead), prefix="/api/lead/comments")
    app.include_router(adjudications.router(labels, lead), prefix="/api/lead/adjudications")
    app.include_router(reports.router(reports.Reports(leading, labels), lead), prefix="/api/lead/reports")
    app.include_router(proposals.router(lake, viewer), prefix="/proposals")
    app.include_router(browser(lambda: lake, viewer, Outcomes(leading, settings)), prefix="/api/browse")
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

    for pages, may in ((_FOR_ANYBODY, anybody), (_FOR_LEADS, lead), (_FOR_VIEWERS, viewer)):
        for name, folder in pages.items():
            router.add_api_route(f"/{name}", _page(_PAGES / folder / f"{name}.html"), dependencies=[Depends(may)])

    @router.get("/assets/{name:path}", dependencies=[Depends(anybody)])
    def asset(name: str) -> Response:
        media = _ASSETS.get(PurePosixPath(name).suffix)
        if media is None or name not in _files():
            raise NotFound("no such file")
        return Response((_PAGES / name).read_bytes(), media_type=media, headers={"Cache-Control": "no-cache"})

    return router


def _page(file: Path) -> Callable[[], Response]:
    def page() -> Response:
        return Response(file.read_bytes(), media_type="text/html; charset=utf-8")

    return page


@cache
def _files() -> frozenset[str]:
    return frozenset(file.relative_to(_PAGES).as_posix() for file in _PAGES.rglob("*") if file.is_file())


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
