"""The routes of the guidelines: reading them with what has changed, and editing them as a lead."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from hopchain_etl.annotation import guidelines
from hopchain_etl.annotation.guidelines import Edition
from hopchain_etl.lake.lake import Lake
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import Body, now_text
from hopchain_etl.web.errors import Conflict, Invalid, NotFound
from hopchain_etl.web.guidelines.markdown import PICTURE, to_html
from hopchain_etl.web.guidelines.pictures import PICTURES

JSON = dict[str, Any]

_Number = Annotated[int, Field(ge=0, lt=10**9)]
_Text = Annotated[str, Field(max_length=20_000)]


class OpenedBody(Body):
    number: _Number


class PreviewBody(Body):
    markdown: _Text
    since: _Number


class PublishBody(Body):
    markdown: _Text
    note: Annotated[str, Field(max_length=200)]
    based_on: _Number


class Guidelines:
    """The guidelines of a lake in one API worker, which hears of new versions every ``refresh_seconds``."""

    def __init__(self, lake: Lake, refresh_seconds: float) -> None:
        self.lake = lake
        self._refresh_seconds = refresh_seconds
        self._newest: tuple[float, Edition] | None = None  # when it was read (time.monotonic()), and what
        self._opened: dict[str, tuple[float, int]] = {}  # by person: when it was read, and the newest that they opened

    def notice(self, person: str, *, at_once: bool = False) -> JSON | None:
        """Return what tells a person that the guidelines have changed; None once they have opened them.

        Costs no request if both were read less than ``refresh_seconds`` ago. ``at_once``: hear of it at once if they
        have opened them at another worker.
        """
        now = time.monotonic()
        if self._newest is None or now >= self._newest[0] + self._refresh_seconds:
            self._newest = now, guidelines.newest(self.lake)
        last = self._newest[1]
        read_at, opened = self._opened.get(person, (None, 0))
        if opened < last.number and (at_once or read_at is None or now >= read_at + self._refresh_seconds):
            opened = guidelines.opened(self.lake, person)
            self._opened[person] = now, opened
        return _about(last) if opened < last.number else None

    def show(self, one: Person, number: int | None, since: int | None) -> JSON:
        """Return a version (None: the newest) as HTML, with its differences from version ``since``.

        Without ``since`` the newest is compared with the last one that the person has opened.
        """
        every = {each.number: each for each in guidelines.editions(self.lake)}
        last = max(every)
        if since is None and number is None and one.annotates:
            since = guidelines.opened(self.lake, one.name)
        number = last if number is None else number
        shown = _found(every.get(number), number)
        before = _found(every.get(since), since) if since is not None and since != shown.number else None
        versions = [_about(each) | ({"by": each.by} if one.leads else {}) for each in every.values()]
        return {
            **_about(shown),
            "newest": last,
            **_text(shown.markdown, before.markdown if before else None),
            "since": before.number if before else None,
            "versions": versions[::-1],
        }

    def source(self, number: int | None) -> JSON:
        """Return the Markdown of a version (None: the newest), and the pictures that it may use."""
        shown = guidelines.newest(self.lake) if number is None else self._load(number)
        return {**_about(shown), "markdown": shown.markdown, "pictures": [f"{PICTURE}{name}" for name in PICTURES]}

    def preview(self, markdown: str, since: int) -> JSON:
        """Return a text as HTML, with its differences from a version; stores nothing."""
        return _text(markdown, self._load(since).markdown)

    def publish(self, markdown: str, by: str, note: str, based_on: int) -> JSON:
        """Store a new version; raise Conflict if somebody else has published one meanwhile."""
        if not markdown.strip():
            raise Invalid("markdown: the guidelines are empty")
        if not note.strip():
            raise Invalid("note: say in a few words what has changed, so that annotators know")
        note = " ".join(note.split())
        try:
            made = guidelines.publish(self.lake, markdown, by=by, at=now_text(), note=note, based_on=based_on)
        except guidelines.ChangedMeanwhileError as error:
            raise Conflict(
                f"somebody else has published a version meanwhile: {error}. Nothing was overwritten, and your text is "
                "kept here. Look at the differences, take over what you want to keep, and publish again"
            ) from error
        self._newest = None
        return _about(made)

    def open(self, person: str, number: int) -> None:
        """Store that a person has opened a version."""
        guidelines.mark_opened(self.lake, person, self._load(number).number)
        self._opened.pop(person, None)

    def _load(self, number: int) -> Edition:
        return _found(guidelines.load(self.lake, number), number)


def router(desk: Guidelines, annotator: Any, lead: Any, anybody: Any) -> APIRouter:
    """Return the routes below ``/api/guidelines``; everybody may read, annotators are remembered, leads write."""
    routes = APIRouter()
    Annotator = Annotated[Person, Depends(annotator)]  # noqa: N806 - types
    Anybody = Annotated[Person, Depends(anybody)]  # noqa: N806
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806
    Since = Annotated[int | None, Query(ge=0, lt=10**9)]  # noqa: N806

    @routes.get("")
    def newest(one: Anybody, since: Since = None) -> JSON:
        return desk.show(one, None, since)

    @routes.get("/versions/{number}")
    def version(one: Anybody, number: Annotated[int, Path(ge=0, lt=10**9)], since: Since = None) -> JSON:
        return desk.show(one, number, since)

    @routes.post("/opened")
    def opened(one: Annotator, body: OpenedBody) -> JSON:
        desk.open(one.name, body.number)
        return {"opened": body.number}

    @routes.get("/source")
    def source(one: Lead, version: Since = None) -> JSON:
        return desk.source(version)

    @routes.post("/preview")
    def preview(one: Lead, body: PreviewBody) -> JSON:
        return desk.preview(body.markdown, body.since)

    @routes.post("/publish")
    def publish(one: Lead, body: PublishBody) -> JSON:
        return desk.publish(body.markdown, one.name, body.note, body.based_on)

    return routes


def _found(edition: Edition | None, number: int) -> Edition:
    if edition is None:
        raise NotFound(f"there is no version {number} of the guidelines")
    return edition


def _about(edition: Edition) -> JSON:
    return {"number": edition.number, "at": edition.at or None, "note": edition.note}


def _text(markdown: str, before: str | None) -> JSON:
    """Return a text as HTML; what differs from ``before`` is marked in it and listed."""
    if before is None:
        return {"html": to_html(markdown), "differences": []}
    changed = guidelines.changed_lines(before, markdown)
    found = [asdict(one) for one in guidelines.differences(before, markdown)]
    return {"html": to_html(markdown, changed), "differences": found}
