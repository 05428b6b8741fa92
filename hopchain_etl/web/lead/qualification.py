"""Qualification: practice before the first question, and a pause for whose checks go wrong; and its routes for leads.

A worker hears of what others stored every ``desk.refresh_seconds``, as of voided people.
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from hopchain_etl.annotation import qualification as stored
from hopchain_etl.annotation.qualification import Event, PracticeResult, Standing
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.votes import Vote
from hopchain_etl.concurrency import map_threads
from hopchain_etl.web.access import Person
from hopchain_etl.web.bodies import Body, PersonName, now_text
from hopchain_etl.web.desk import practice
from hopchain_etl.web.errors import Conflict, Invalid, NotQualified
from hopchain_etl.web.lead.lead import LeadDesk

JSON = dict[str, Any]

_MOST_VOTES = 200  # that are listed of a paused person; all are counted
_DAY_SECONDS = 86_400


class PersonBody(Body):
    annotator: PersonName


class Qualification:
    """Who may get questions, in one API worker. ``needed`` answers of a practice round must be right; 0: none."""

    def __init__(self, leading: LeadDesk) -> None:
        self._leading = leading
        self._lake = leading.lake
        self._settings = leading.desk.settings
        self.needed = min(self._settings.qualification_needed, self._settings.practice)
        self._events = stored.Events(self._lake)
        self._standings: dict[str, Standing] = {}
        self._read_at: float | None = None  # time.monotonic()
        self._passed: set[str] = set()  # names; who has passed stays in
        self._erased: dict[str, str] = {}  # people, as the index knew them when all of this was read

    # --- annotators ---

    def refusal(self, name: str) -> JSON | None:
        """Return why somebody gets no question, in the form of the desk's reply; None if they may get one."""
        if pause := self._standing(name).pause:
            told = {"right": pause.right, "of": pause.of, "least": self._settings.pause_below, "at": pause.at}
            return self._none(name, "paused", {"pause": told})
        if state := self.practice_state(name):
            return self._none(name, "practise", {"qualification": state})
        return None

    def _none(self, name: str, why: str, more: JSON) -> JSON:
        index = self._leading.index
        index.refresh_if_stale()
        asking = next((one.batch.id for _, one in sorted(index.open.items()) if one.asks(name)), None)
        return {"task": None, "why": why, "prefetch": None, "progress": index.progress(name, asking), **more}

    def is_qualified(self, name: str) -> bool:
        """Return whether somebody has passed the practice, was admitted by a lead, or practised in earlier versions."""
        return self._to_pass(name) is None

    def _to_pass(self, name: str) -> Mapping[int, bool] | None:
        """Return the practice results of somebody who has still to pass; None if they need not (any more)."""
        if not self.needed or name in self._passed or self._standing(name).admitted:
            return None
        results = stored.practised(self._lake, name)
        if self._result(results).passed or practice.done_unscored(self._lake, name):
            self._passed.add(name)
            return None
        return results

    def check_qualified(self, name: str) -> None:
        """Raise NotQualified for an answer of somebody who has not been asked anything yet."""
        if not self.is_qualified(name):
            raise NotQualified("practise first: questions come after the practice round")

    def practice_state(self, name: str) -> JSON | None:
        """Return how far somebody is with the practice that they need (see PracticeResult); None if they need none."""
        results = self._to_pass(name)
        if results is None:
            return None
        count, result = self._settings.practice, self._result(results)
        over = result.finished >= practice.rounds(count)
        return {"needed": self.needed, "of": count, **asdict(result), "over": over}

    def practice_tasks(self, name: str) -> list[JSON]:
        """Return the questions that somebody has still to practise; who need not gets another round each day."""
        count = self._settings.practice
        if not self.needed:
            return practice.tasks(count)
        results = self._to_pass(name)
        if results is None:
            return practice.tasks(count, int(time.time() / _DAY_SECONDS) % practice.rounds(count))
        at = min(self._result(results).finished, practice.rounds(count) - 1)
        return [one for one in practice.tasks(count, at) if one["number"] not in results]

    def practise(self, name: str, number: int, answer: str) -> JSON:
        """Return whether a practice answer is right; of who needs the practice, it is stored and counted."""
        told = practice.feedback(number, self._settings.practice, answer)
        if not self.is_qualified(name):
            stored.keep_practice(self._lake, name, number, told["right"], now_text())
        return {**told, "qualification": self.practice_state(name)}

    def _result(self, results: Mapping[int, bool]) -> PracticeResult:
        count = self._settings.practice
        return stored.practice_result(results, count, practice.rounds(count), self.needed)

    def after_answer(self, name: str, query_id: str) -> None:
        """Pause somebody if too few of their last checks are right; does nothing after any other question."""
        gold = self._leading.index.gold
        if query_id not in gold.items or self._leading.index.batch_of(query_id) or not self._settings.pause_below:
            return
        self._refresh()
        before = self._standings.get(name, Standing())
        after = before.last.at if before.last else ""
        if before.pause:
            return
        own = (one for one in gold.answers() if one["annotator"] == name)
        found = stored.failed_checks(own, after, self._settings.pause_below, self._settings.pause_checks)
        if found:
            right, since = found
            pause = Event(name, "paused", now_text(), right=right, of=self._settings.pause_checks, since=since)
            self._events.add(pause, before)  # False: another worker has paused them
            self._refresh()

    def _standing(self, name: str) -> Standing:
        if self._read_at is None or time.monotonic() >= self._read_at + self._settings.refresh_seconds:
            self._refresh()
        return self._standings.get(name, Standing())

    def _refresh(self) -> None:
        if self._erased != self._leading.index.erased:  # who logs in again is somebody new
            self._erased = self._leading.index.erased
            self._events, self._passed = stored.Events(self._lake), set()
        self._standings = self._events.standings()
        self._read_at = time.monotonic()

    # --- leads ---

    def people(self) -> JSON:
        """Return who is paused, was paused, or has not passed the practice, with what they reached."""
        self._leading.index.refresh(older_than=2)
        self._refresh()
        known = sorted(self._leading.index.known.names() - self._leading.index.voided.keys())
        states = map_threads(self.practice_state, known) if self.needed else [None] * len(known)
        waiting = [{"annotator": name, **state} for name, state in zip(known, states, strict=True) if state]
        pauses = [
            {**vars(one.last), "votes": len(self._flagged(one.last)) if one.pause else None}
            for _, one in sorted(self._standings.items())
            if one.last
        ]
        return {"needed": self.needed, "of": self._settings.practice, "waiting": waiting, "pauses": pauses}

    def flagged(self, annotator: str) -> JSON:
        """Return the answers of a paused person since their last right check, the newest first."""
        self._leading.index.refresh(older_than=2)
        self._refresh()
        last = self._last_pause(annotator)
        votes = sorted(self._flagged(last), key=lambda pair: pair[1].answered_at, reverse=True)
        listed = [self._item(batch, vote) for batch, vote in votes[:_MOST_VOTES]]
        return {"annotator": annotator, "since": last.since or None, "total": len(votes), "items": listed}

    def lift(self, annotator: str, by: str) -> JSON:
        """Let a paused person go on; raise Conflict if they are not paused (any more)."""
        self._refresh()
        before = self._standings.get(annotator, Standing())
        if not before.pause or not self._events.add(Event(annotator, "lifted", now_text(), by), before):
            raise Conflict(f"{annotator} is not paused, or another lead has just let them go on; look again")
        self._refresh()
        return {"annotator": annotator, "paused": False}

    def admit(self, annotator: str, by: str) -> JSON:
        """Let somebody get questions without the practice; raise Invalid for an unknown name."""
        if annotator not in self._leading.index.known.names():
            raise Invalid(f"not an annotator here: {annotator}; check the spelling")
        self._refresh()
        before = self._standings.get(annotator, Standing())
        if before.admitted or self.is_qualified(annotator):
            raise Conflict(f"{annotator} gets questions already")
        if not self._events.add(Event(annotator, "admitted", now_text(), by), before):
            raise Conflict(f"something else was stored about {annotator} just now; look again")
        self._refresh()
        return {"annotator": annotator, "qualified": True}

    def _last_pause(self, annotator: str) -> Event:
        last = self._standings.get(annotator, Standing()).last
        if last is None:
            raise Conflict(f"{annotator} was never paused")
        return last

    def _flagged(self, pause: Event) -> list[tuple[str, Vote]]:
        """Return a person's valid votes since their last right check, each with its batch."""
        found = {(vote.batch or name, vote.query_id): (name, vote) for name, vote in self._votes(pause.annotator)}
        return [(name, vote) for name, vote in found.values() if vote.answered_at > pause.since]

    def _votes(self, annotator: str) -> Iterator[tuple[str, Vote]]:
        """Yield a person's valid votes with their batch; twice if a batch continues another."""
        index, settled = self._leading.index, settled_batches(self._lake)
        for name, home in sorted(index.open.items()):
            for query in home.answered(annotator):
                yield from ((name, one) for one in home.folder(query).taken().values() if one.annotator == annotator)
        for name, one in settled.items():
            if annotator in one.annotators and name not in index.open:
                given = self._leading.show(name).votes.values()
                yield from ((name, vote) for votes in given for vote in votes if vote.annotator == annotator)

    def _item(self, batch: str, vote: Vote) -> JSON:
        home = self._leading.index.open.get(batch)
        asked = home.questions.get(vote.query_id) if home else self._leading.questions_of(batch).get(vote.query_id)
        columns = ("query_id", "answer", "reject_reason", "answered_at")
        return {
            "batch": batch,
            "question": asked.text if asked else None,
            **{key: getattr(vote, key) for key in columns},
        }


def router(desk: Qualification, lead: Any) -> APIRouter:
    """Return the routes below ``/api/lead/qualification``; each depends on ``lead``."""
    routes = APIRouter()
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("")
    def people(one: Lead) -> JSON:
        return desk.people()

    @routes.get("/votes")
    def flagged(one: Lead, annotator: Annotated[str, Query(min_length=1, max_length=256)]) -> JSON:
        return desk.flagged(annotator)

    @routes.post("/lift")
    def lift(one: Lead, body: PersonBody) -> JSON:
        return desk.lift(body.annotator, one.name)

    @routes.post("/admit")
    def admit(one: Lead, body: PersonBody) -> JSON:
        return desk.admit(body.annotator, one.name)

    return routes
