"""What leads say of disagreements, and sending a question to fresh people; no lead ever sets an answer."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from hopchain_etl.annotation import adjudications, batches
from hopchain_etl.annotation.adjudications import LABELS, Adjudication, OutdatedError
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import is_open
from hopchain_etl.annotation.unasked import all_batches_asking
from hopchain_etl.annotation.vote_archive import unpack
from hopchain_etl.annotation.votes import who_answered
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import BATCH_PATTERN, BatchName, Body, PersonName, QueryId, now_text
from hopchain_etl.web.errors import Conflict, Invalid, NotFound
from hopchain_etl.web.lead.batch_changes import storing
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.people import People

JSON = dict[str, Any]


class LabelBody(Body):
    """``after``: the number of the label that the lead saw, 0 without one."""

    batch: BatchName
    query_id: QueryId
    label: Literal["misread", "ambiguous", "wrong_key", "wrong_program"]
    comment: Annotated[str | None, Field(max_length=500)] = None
    again: bool = False
    after: Annotated[int, Field(ge=0, lt=9_999)] = 0


class FreshBody(Body):
    batch: BatchName
    id: BatchName
    assigned: list[PersonName] | None = None


class Adjudications:
    """Labels of disagreements of a lake, for leads."""

    def __init__(self, leading: LeadDesk, people: People) -> None:
        self._leading = leading
        self._lake = leading.lake
        self._people = people

    def of_batch(self, name: str) -> JSON:
        """Return the last label of each question of a batch, and which marked questions fresh people can be asked.

        ``ready`` are the marked ones that nobody else is asked yet; ``sent`` are those that were sent.
        """
        batch = self._batch(name)
        found = {query: one for (home, query), one in self._all().items() if home == name}
        marked = [query for query, one in found.items() if one.again]
        ready = self._unsent(batch, marked)
        return {
            "labels": [{"code": code, "label": label} for code, label in LABELS.items()],
            "items": {query: asdict(one) for query, one in found.items()},
            "ready": ready,
            "sent": sorted(set(marked) - set(ready)),
        }

    def label(self, by: str, body: LabelBody) -> JSON:
        """Store what a lead says of a closed question on which people disagreed; return it.

        Raises Conflict if the question is not closed, nobody disagreed, or another lead has labelled it meanwhile.
        """
        shown, row = self._leading.show(body.batch), self._leading.rows(body.batch).get(body.query_id)
        if body.query_id not in shown.votes:
            raise NotFound("this question is not in this batch")
        share = float(shown.batch.policy.get("full_share", 0))
        if "closed" not in shown.kinds and is_open(body.query_id, shown.votes[body.query_id], shown.rule, share):
            raise Conflict("people are still answering this question")
        if not shown.is_disputed(body.query_id, row):
            raise Conflict("nobody disagreed on this question")
        if body.again and body.query_id in shown.withdrawn:
            raise Conflict("the photo of this question was withdrawn")
        comment = (body.comment or "").strip() or None
        told = (body.label, comment, body.again, by, now_text())
        facts = adjudications.program_facts(row or {})
        made = Adjudication(body.batch, body.query_id, body.after + 1, *told, **facts)
        try:
            adjudications.say(self._lake, made)
        except OutdatedError as error:
            raise Conflict("another lead has labelled this question meanwhile; reload the page to see it") from error
        return asdict(made)

    def send(self, by: str, body: FreshBody) -> JSON:
        """Ask fresh people all marked questions of a batch that were not sent yet, in a new batch; return it.

        The new batch has the policy of the old one, and counts none of its answers.
        """
        old = self._batch(body.batch)
        self._people.check_names(body.assigned)
        with storing(self._lake) as store:
            queries = tuple(self.of_batch(body.batch)["ready"])
            if not queries:
                raise Invalid("no question of this batch is marked, or all that are marked were sent already")
            batch = Batch(body.id, f"lead:{by}", queries, old.policy, lineage=old.lineage, shards=old.shards,
                          fresh_of=old.id)  # fmt: skip
            unpack(self._lake, old.id)
            self._check_people(batch, body.assigned)
            store(batch)
        if body.assigned is not None:
            batches.assign(self._lake, batch.id, body.assigned)
        self._leading.index.refresh()
        return {"batch": self._leading.summary(batch.id)}

    def report(self) -> JSON:
        """Return how often each label was given, by kind of question, relation and category."""
        found = self._all().values()
        return {"labelled": len(found), "labels": LABELS, "rows": adjudications.by_program(found)}

    def rows(self, first: str, last: str) -> Iterable[JSON]:
        """Return all last labels of these days, as rows of a file."""
        for one in sorted(self._all().values(), key=lambda one: one.at):
            if first <= one.at[:10] <= (last or "~"):
                names = {name: " ".join(getattr(one, name)) for name in ("relations", "categories")}
                yield {**asdict(one), **names}

    def _all(self) -> dict[tuple[str, str], Adjudication]:
        return adjudications.adjudications(self._lake)

    def _batch(self, name: str) -> Batch:
        if name not in batches.batch_states(self._lake):
            raise NotFound(f"there is no batch {name!r}")
        return batches.load(self._lake, name)

    def _unsent(self, batch: Batch, queries: list[str]) -> list[str]:
        """Return those of the queries that no batch of fresh people asks after this one."""
        asking = all_batches_asking(self._lake, queries) if queries else {}
        others = {name for names in asking.values() for name in names} - {batch.id}
        later = {name for name in others if self._is_after(batch.id, name)}
        return [query for query in queries if later.isdisjoint(asking.get(query, ()))]

    def _is_after(self, earlier: str, name: str) -> bool:
        try:
            return earlier in batches.earlier_rounds(self._lake, batches.load(self._lake, name))
        except batches.UNREADABLE:
            return False  # the list of batches says so

    def _check_people(self, batch: Batch, assigned: list[str] | None) -> None:
        """Raise Invalid if a question has fewer people who have not answered it than seats."""
        known = {one["annotator"] for one in self._people.annotators() if not one["voided"]}
        people = known if assigned is None else set(assigned)
        earlier = who_answered(self._lake, batches.earlier_rounds(self._lake, batch), batch.query_ids)
        fewest = min(len(people - earlier.get(query, set())) for query in batch.query_ids)
        if fewest < batch.seats:
            raise Invalid(
                f"each question needs {batch.seats} people who have not answered it, and some have only {fewest}: "
                "more people must finish the practice round first, or choose all"
            )


def router(labels: Adjudications, lead: Any) -> APIRouter:
    """Return the routes below ``/api/lead/adjudications``."""
    routes = APIRouter()
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("")
    def of_batch(one: Lead, batch: Annotated[str, Query(pattern=BATCH_PATTERN)]) -> JSON:
        return labels.of_batch(batch)

    @routes.get("/report")
    def report(one: Lead) -> JSON:
        return labels.report()

    @routes.post("")
    def label(one: Lead, body: LabelBody) -> JSON:
        return labels.label(one.name, body)

    @routes.post("/fresh")
    def send(one: Lead, body: FreshBody) -> JSON:
        return labels.send(one.name, body)

    return routes
