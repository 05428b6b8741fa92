"""The dataset browser over HTTP: a FastAPI router that the annotation plugin mounts behind Airflow's login."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response

from hopchain_etl.hops.query import Read, Relation
from hopchain_etl.lake.lake import Lake
from hopchain_etl.pipeline.funnel import as_json
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import QUERY_PATTERN
from hopchain_etl.web.browser import builds
from hopchain_etl.web.browser.gallery import Gallery, NotThereError, PageCursor, SearchFilter, shard_of
from hopchain_etl.web.browser.outcomes import STATES, Outcomes, State
from hopchain_etl.web.image_responses import photo_headers, revalidated

_RUNS = 100  # builds listed at most

JSON = dict[str, Any]
Text = Annotated[str, Query(max_length=200)]
Choice = Annotated[str | None, Query(max_length=100)]
Start = Annotated[str, Query(max_length=20, alias="from")]
Count = Annotated[int, Query(ge=1, le=60)]
Width = Annotated[int, Query(ge=64, le=2_000)]
Image = Annotated[str, Query(max_length=64)]


def router(lake: Callable[[], Lake], may_browse: Callable[..., Any], outcomes: Outcomes | None = None) -> APIRouter:
    """Return the routes over ``lake()``; each depends on ``may_browse``, which raises for users without access.

    ``outcomes``: what people and releases decided; without it, nothing is shown of that.
    """
    routes = APIRouter(dependencies=[Depends(may_browse)])
    shelf: dict[int, Gallery] = {}

    def gallery() -> Gallery:
        held = lake()
        return shelf.setdefault(id(held), Gallery(held))

    _add_builds(routes, lake)
    _add_lists(routes, lake, gallery, outcomes)
    if outcomes:
        _add_query(routes, lake, gallery, may_browse, outcomes)
    _add_images(routes, lake, gallery)
    return routes


def _add_builds(routes: APIRouter, lake: Callable[[], Lake]) -> None:
    @routes.get("/builds")
    def list_builds() -> JSON:
        documents, count = builds.runs(lake(), _RUNS)
        return {"builds": list(map(_summary, documents)), "count": count, "lineages": builds.lineages(lake())}

    @routes.get("/builds/{name}")
    def show_build(name: str) -> JSON:
        with _as_http_errors():
            build = builds.viewed(lake(), name)
        document = {key: value for key, value in build.document.items() if key != "shards"}
        return {
            "id": build.id,
            "document": document,
            "shards": len(build.shards),
            "fingerprints": dict(build.fingerprints),
            "funnel": as_json(builds.totals(lake(), build)),
            "rels": [str(rel) for rel in Relation],
            "reads": [str(read) for read in Read],
            "states": list(STATES),
        }


def _add_query(
    routes: APIRouter,
    lake: Callable[[], Lake],
    gallery: Callable[[], Gallery],
    may_browse: Callable[..., Any],
    outcomes: Outcomes,
) -> None:
    Viewer = Annotated[Person, Depends(may_browse)]  # noqa: N806 - a type

    @routes.get("/builds/{name}/queries/{query_id}")
    def show_query(one: Viewer, name: str, query_id: Annotated[str, Path(pattern=QUERY_PATTERN)]) -> JSON:
        with _as_http_errors():
            query, place, row = gallery().query(builds.viewed(lake(), name), query_id)
        return {**query, "decided": outcomes.of_query(query_id, place, row, names=one.leads)}


def _add_lists(
    routes: APIRouter, lake: Callable[[], Lake], gallery: Callable[[], Gallery], outcomes: Outcomes | None
) -> None:
    @routes.get("/builds/{name}/queries")
    def list_queries(
        name: str,
        text: Text = "",
        rel: Choice = None,
        read: Choice = None,
        hops: Annotated[int | None, Query(ge=1, le=99)] = None,
        state: State | Literal[""] = "",
        start: Start = "0.0",
        count: Count = 24,
    ) -> JSON:
        with _as_http_errors():
            wanted = SearchFilter(text=text, rel=rel or None, read=read or None, hops=hops, state=state or None)
            states_of = outcomes.states if outcomes else None
            return gallery().queries(builds.viewed(lake(), name), wanted, PageCursor.parse(start), count, states_of)

    @routes.get("/builds/{name}/rejects")
    def list_rejects(
        name: str,
        stage: Annotated[str, Query(max_length=40)],
        text: Text = "",
        reason: Choice = None,
        outcome: Choice = None,
        start: Start = "0.0",
        count: Count = 24,
    ) -> JSON:
        with _as_http_errors():
            wanted = SearchFilter(text=text, reason=reason or None, outcome=outcome or None)
            return gallery().rejects(builds.viewed(lake(), name), stage, wanted, PageCursor.parse(start), count)


def _add_images(routes: APIRouter, lake: Callable[[], Lake], gallery: Callable[[], Gallery]) -> None:
    @routes.get("/photo", response_class=Response)
    def photo(request: Request, shard: Text, image: Image, width: Width = 760) -> Response:
        etag = _etag(shard, image, width)
        with _as_http_errors():
            gallery().check(shard_of(shard), image)
            return revalidated(request, etag) or Response(
                gallery().small_photo(shard_of(shard), image, width), 200, photo_headers(etag), "image/jpeg"
            )

    @routes.get("/builds/{name}/mask", response_class=Response)
    def mask(
        request: Request,
        name: str,
        shard: Text,
        image: Image,
        of: Annotated[str, Query(max_length=4_000)],
        colour: Annotated[int, Query(ge=0, le=99)] = 0,
        width: Width = 760,
    ) -> Response:
        with _as_http_errors():
            build = builds.viewed(lake(), name)
            etag = _etag(build.fingerprints.get("segment"), shard, image, of, colour, width)
            gallery().check(shard_of(shard), image)
            if known := revalidated(request, etag):
                return known
            layer = gallery().overlay(build, shard_of(shard), image, of.split(","), colour, width)
        return Response(layer, 200, photo_headers(etag), "image/png")


def _etag(*facts: object) -> str:
    """Return what identifies the bytes of a picture: it depends on nothing but these facts."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


@contextmanager
def _as_http_errors() -> Iterator[None]:
    """Convert "not found" errors to HTTP 404 and invalid values to HTTP 422."""
    try:
        yield
    except (builds.UnknownBuildError, NotThereError) as error:
        raise HTTPException(404, str(error.args[0])) from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _summary(document: JSON) -> JSON:
    kept = ("id", "run_id", "run_after", "intakes", "counts", "fingerprints", "batch", "gate")
    return {key: document.get(key) for key in kept}
