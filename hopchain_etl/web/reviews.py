"""The page of wrong answers: a person says at which step a model went wrong first, and how.

Nobody sees here what code or a judge said, or what others chose.
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from hopchain_etl.annotation import error_reviews
from hopchain_etl.annotation.error_reviews import Opinion, ReviewBatch, ReviewItem
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.evaluation.errors.kinds import DESCRIPTIONS, ErrorKind, group_of
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import BATCH_PATTERN, QUERY_PATTERN, BatchName, Body, QueryId, now_text
from hopchain_etl.web.errors import Gone, Invalid, NotFound

JSON = dict[str, Any]
log = logging.getLogger(__name__)
_Batch = Annotated[str, Path(pattern=BATCH_PATTERN)]
_Item = Annotated[str, Path(pattern=QUERY_PATTERN)]


class ReviewBody(Body):
    """What a person chose."""

    batch: BatchName
    item: QueryId
    kind: Annotated[str, Field(max_length=32)]
    hop: Annotated[int | None, Field(ge=1, le=12)] = None
    comment: Annotated[str | None, Field(max_length=500)] = None


class Reviews:
    """The batches of wrong answers of a lake, for annotators."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def batches(self) -> list[JSON]:
        """Return each batch with how far people are: ``said`` of ``wanted`` opinions, ``finished`` of ``items``.

        A batch that cannot be read says only that it is ``broken``.
        """
        told: list[JSON] = []
        for name in error_reviews.names(self._lake):
            held = self._read(name)
            if held is None:
                told.append({"name": name, "broken": True})
                continue
            batch, people = held
            given = [min(batch.seats, len(people.get(one.item, ()))) for one in batch.items]
            told.append(
                {
                    "name": name,
                    "broken": False,
                    "created_by": batch.created_by,
                    "items": len(batch.items),
                    "seats": batch.seats,
                    "said": sum(given),
                    "wanted": len(batch.items) * batch.seats,
                    "finished": sum(seats == batch.seats for seats in given),
                }
            )
        return told

    def _read(self, name: str) -> tuple[ReviewBatch, dict[str, set[str]]] | None:
        try:
            return error_reviews.load(self._lake, name), error_reviews.who(self._lake, name)
        except (LakeError, KeyError, TypeError, ValueError):
            log.exception("the batch of errors %r cannot be read; the others go on", name)
            return None

    def next_task(self, person: str) -> JSON:
        """Return the next wrong answer for a person, or None if there is none, with how many are left."""
        me = annotator_key(person)
        for name in error_reviews.names(self._lake):
            held = self._read(name)
            if held is None:
                continue
            batch, people = held
            asked = {one.item: people.get(one.item, set()) for one in batch.items}
            left = [one for one in batch.items if me not in asked[one.item] and len(asked[one.item]) < batch.seats]
            if left:  # those that somebody has begun come first, so that items are finished
                chosen = max(left, key=lambda one: (len(asked[one.item]), one.item))
                return {"task": _shown(batch, chosen), "left": len(left), "kinds": _kinds()}
        return {"task": None, "left": 0, "kinds": _kinds()}

    def image(self, name: str, item: str) -> bytes:
        """Return the photo of a wrong answer. Raises NotFound if there is no such one, Gone if its photo is gone."""
        try:
            return self._lake.store.get(self._item(name, item).blob_key)
        except MissingObjectError as error:
            raise Gone("this picture was removed meanwhile") from error

    def submit(self, person: str, body: ReviewBody) -> JSON:
        """Store what a person chose; it can be changed until they leave the page, by sending it again."""
        one = self._item(body.batch, body.item)
        if body.kind not in list(ErrorKind):
            raise Invalid(f"kind must be one of {', '.join(ErrorKind)}")
        if body.hop is not None and body.hop > len(one.steps):
            raise Invalid(f"hop: there are {len(one.steps)} steps")
        comment = (body.comment or "").strip() or None
        opinion = Opinion(body.item, person, body.kind, body.hop, comment, now_text())
        error_reviews.say(self._lake, body.batch, opinion)
        return {"stored": True}

    def _item(self, name: str, item: str) -> ReviewItem:
        if name not in error_reviews.names(self._lake):
            raise NotFound("no such batch of errors")
        found = next((one for one in error_reviews.load(self._lake, name).items if one.item == item), None)
        if found is None:
            raise NotFound("no such answer, or its photo was removed")
        return found


def router(
    reviews: Reviews, annotator: Any, lead: Any, picture: Callable[[bytes, dict[str, str]], Response]
) -> APIRouter:
    """Return the routes below ``/api/reviews``: the list of batches for leads, all others for annotators."""
    routes = APIRouter()
    Annotator = Annotated[Person, Depends(annotator)]  # noqa: N806 - types
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806

    @routes.get("/batches")
    def batches(one: Lead) -> JSON:
        return {"batches": reviews.batches()}

    @routes.get("/next")
    def next_task(one: Annotator) -> JSON:
        return reviews.next_task(one.name)

    @routes.get("/{name}/{item}/image")
    def image(one: Annotator, name: _Batch, item: _Item) -> Response:
        return picture(reviews.image(name, item), {"Cache-Control": "private, no-cache"})

    @routes.post("")
    def submit(one: Annotator, body: ReviewBody) -> JSON:
        return reviews.submit(one.name, body)

    return routes


def _shown(batch: ReviewBatch, one: ReviewItem) -> JSON:
    return {
        "batch": batch.name,
        "item": one.item,
        "image": f"api/reviews/{batch.name}/{one.item}/image",
        "width": one.width,
        "height": one.height,
        "question": one.question,
        "steps": list(one.steps),
        "right": one.right,
        "response": one.response,
    }


def _kinds() -> list[JSON]:
    return [{"code": kind, "group": group_of(kind), "label": label} for kind, label in DESCRIPTIONS.items()]
