"""The routes of the lead's API: a thin layer over ``lead.LeadDesk``."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import BATCH_PATTERN, Body, PersonName, QueryId
from hopchain_etl.web.lead.answer_rows import COLUMNS
from hopchain_etl.web.lead.checks import Checks
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.people import People
from hopchain_etl.web.lead.table_files import table_file

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_InPath = Annotated[str, Path(pattern=BATCH_PATTERN)]

JSON = dict[str, Any]


class NewBatch(Body):
    id: _Name
    source: Literal["unasked", "open_of"]
    batch: _Name | None = None
    lineage: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    assigned: list[PersonName] | None = None


class Assignment(Body):
    annotators: list[PersonName] | None


class Nothing(Body):
    pass


class Voiding(Body):
    annotator: PersonName
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Unvoiding(Body):
    annotator: PersonName


class Listed(Body):
    query_id: QueryId
    answer: Annotated[str, Field(max_length=64)]


class NewGold(Body):
    source: Literal["unanimous", "listed", "drawn"]
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    items: Annotated[list[Listed], Field(max_length=500)] = Field(default_factory=list)


def router(desk: LeadDesk, people: People, checks: Checks, lead: Any) -> APIRouter:
    """Return the routes below ``/api/lead``; each depends on ``lead``."""
    routes = APIRouter()
    _add_batches(routes, desk, people, lead)
    _add_people(routes, people, lead)
    _add_gold(routes, checks, lead)
    return routes


def _add_batches(routes: APIRouter, desk: LeadDesk, people: People, lead: Any) -> None:
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("/batches")
    def list_batches(one: Lead) -> JSON:
        return {"batches": desk.batches()}

    @routes.post("/batches")
    def create(one: Lead, body: NewBatch) -> JSON:
        people.check_names(body.assigned)
        how = body.model_dump(exclude={"id", "source"})
        return {"batch": desk.create(body.id, one.name, body.source, **how)}

    @routes.post("/batches/{name}/assigned")
    def assign(one: Lead, name: _InPath, body: Assignment) -> JSON:
        people.check_names(body.annotators)
        return {"batch": desk.assign(name, body.annotators)}

    @routes.post("/batches/{name}/close")
    def close(one: Lead, name: _InPath, body: Nothing) -> JSON:
        return {"batch": desk.close(name, one.name)}

    @routes.get("/batches/{name}/agreement")
    def agreement(one: Lead, name: _InPath) -> JSON:
        return desk.agreement(name)

    @routes.get("/batches/{name}/waiting")
    def waiting(one: Lead, name: _InPath) -> JSON:
        return people.waiting(name)

    @routes.get("/batches/{name}/disagreements")
    def disagreements(
        one: Lead,
        name: _InPath,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> JSON:
        return desk.disagreements(name, offset, limit)

    @routes.get("/batches/{name}/answers.csv")
    def answers(one: Lead, name: _InPath) -> Response:
        return table_file(f"{name}-answers.csv", COLUMNS, desk.answer_rows(name))


def _add_people(routes: APIRouter, people: People, lead: Any) -> None:
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("/annotators")
    def annotators(one: Lead) -> JSON:
        return {"annotators": people.annotators()}

    @routes.get("/void")
    def effect_of_voiding(one: Lead, annotator: Annotated[str, Query(min_length=1, max_length=256)]) -> JSON:
        return people.effect(annotator)

    @routes.post("/void")
    def void(one: Lead, body: Voiding) -> JSON:
        return people.void(body.annotator, one.name, body.reason)

    @routes.post("/unvoid")
    def unvoid(one: Lead, body: Unvoiding) -> JSON:
        return people.unvoid(body.annotator, one.name)


def _add_gold(routes: APIRouter, checks: Checks, lead: Any) -> None:
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("/gold")
    def gold(one: Lead) -> JSON:
        return checks.counts()

    @routes.post("/gold")
    def add_gold(one: Lead, body: NewGold) -> JSON:
        return checks.add(body.source, body.limit, [(item.query_id, item.answer) for item in body.items])
