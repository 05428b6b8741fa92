"""The routes of the lead's API: a thin layer over ``lead.LeadDesk``."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from hopchain_etl.annotation.batch_details import BatchDetails
from hopchain_etl.annotation.choice import Choice
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import BATCH_PATTERN, Body, NothingBody, PersonName, QueryId, Said
from hopchain_etl.web.errors import Invalid
from hopchain_etl.web.lead.answer_rows import COLUMNS
from hopchain_etl.web.lead.batch_changes import BatchChanges, NewBatch
from hopchain_etl.web.lead.checks import Checks
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.people import People
from hopchain_etl.web.lead.table_files import table_file

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_ImageStart = Annotated[str, Field(pattern=r"^[0-9a-f]{4,64}$")]
_Tag = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[^,]+$")]
_LINEAGE = r"^[0-9a-f]{12}$"
_InPath = Annotated[str, Path(pattern=BATCH_PATTERN)]

JSON = dict[str, Any]


class ChoiceBody(Body):
    photos: Annotated[list[_ImageStart], Field(max_length=200)] = Field(default_factory=list)
    template: Annotated[str | None, Field(max_length=2_000)] = None
    rel: Annotated[str | None, Field(max_length=64)] = None
    read: Annotated[str | None, Field(max_length=64)] = None
    hops: Annotated[int | None, Field(ge=1, le=99)] = None
    band: Literal["all_wrong", "hard", "medium", "easy", "all_right", "none"] | None = None

    def choice(self) -> Choice:
        return Choice(**{**self.model_dump(), "photos": tuple(self.photos)})


class UnaskedBody(Body):
    lineage: Annotated[str | None, Field(pattern=_LINEAGE)] = None
    choice: ChoiceBody = Field(default_factory=ChoiceBody)


class DetailsFields(Body):
    """What a lead sets about a batch. ``due``: a day, ISO 8601. ``cap``: a share; 1 is none."""

    title: Annotated[str, Field(max_length=100)] = ""
    priority: Literal["first", "normal", "last"] = "normal"
    due: Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None
    tags: Annotated[list[_Tag], Field(max_length=10)] = Field(default_factory=list)
    cap: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False, strict=False)] = None

    def details(self) -> BatchDetails:
        """Return these as the desk stores them; raise Invalid if ``due`` is no day."""
        try:
            due = date.fromisoformat(self.due).isoformat() if self.due else None
        except ValueError as error:
            raise Invalid(f"due: {self.due} is no day") from error
        tags = tuple(sorted({" ".join(tag.split()) for tag in self.tags} - {""}))
        return BatchDetails(" ".join(self.title.split()), self.priority, due, tags, None if self.cap == 1 else self.cap)


class NewBatchBody(DetailsFields):
    id: _Name
    source: Literal["unasked", "open_of"]
    batch: _Name | None = None
    lineage: Annotated[str, Field(pattern=_LINEAGE)] | None = None
    choice: ChoiceBody = Field(default_factory=ChoiceBody)
    limit: Annotated[int, Field(ge=1)] | None = None
    assigned: list[PersonName] | None = None

    def wanted(self) -> NewBatch:
        """Return this as the desk understands it."""
        continues = (self.batch or "") if self.source == "open_of" else None
        chosen = self.choice.choice()
        return NewBatch(self.id, continues, self.lineage, chosen, self.limit, self.assigned, self.details())


class DetailsBody(DetailsFields):
    """``based_on``: the number of the details that the lead saw, 0 without any."""

    based_on: Annotated[int, Field(ge=0, lt=10**9)]


class Assignment(Body):
    annotators: list[PersonName] | None


class Voiding(Body):
    annotator: PersonName
    reason: Said


class Unvoiding(Body):
    annotator: PersonName


class Listed(Body):
    query_id: QueryId
    answer: Annotated[str, Field(max_length=64)]


class NewGold(Body):
    source: Literal["unanimous", "listed", "drawn"]
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    items: Annotated[list[Listed], Field(max_length=500)] = Field(default_factory=list)


def router(desk: LeadDesk, changing: BatchChanges, people: People, checks: Checks, lead: Any) -> APIRouter:
    """Return the routes below ``/api/lead``; each depends on ``lead``."""
    routes = APIRouter()
    _add_batches(routes, desk, people, lead)
    _add_changes(routes, changing, lead)
    _add_people(routes, people, lead)
    _add_gold(routes, checks, lead)
    return routes


def _add_batches(routes: APIRouter, desk: LeadDesk, people: People, lead: Any) -> None:
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("/batches")
    def list_batches(one: Lead) -> JSON:
        return {"batches": desk.batches()}

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


def _add_changes(routes: APIRouter, changing: BatchChanges, lead: Any) -> None:
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.post("/batches")
    def create(one: Lead, body: NewBatchBody) -> JSON:
        return {"batch": changing.create(one.name, body.wanted())}

    @routes.post("/unasked")
    def unasked(one: Lead, body: UnaskedBody) -> JSON:
        return changing.unasked(body.lineage, body.choice.choice())

    @routes.post("/batches/{name}/details")
    def details(one: Lead, name: _InPath, body: DetailsBody) -> JSON:
        return {"batch": changing.set_details(name, one.name, body.details(), body.based_on)}

    @routes.post("/batches/{name}/assigned")
    def assign(one: Lead, name: _InPath, body: Assignment) -> JSON:
        return {"batch": changing.assign(name, body.annotators)}

    @routes.post("/batches/{name}/close")
    def close(one: Lead, name: _InPath, body: NothingBody) -> JSON:
        return {"batch": changing.close(name, one.name)}

    @routes.post("/batches/{name}/reopen")
    def reopen(one: Lead, name: _InPath, body: NothingBody) -> JSON:
        return {"batch": changing.reopen(name, one.name)}


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
