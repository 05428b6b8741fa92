"""Who may get questions: practice that was passed, and pauses of people whose checks with a known answer go wrong.

What happened is never changed: ``qualification/events/<annotator_key>.<n>.json`` (somebody was paused, let go on, or
admitted without practice) and ``qualification/practice/<annotator_key>/<number>.json`` (a person's first answer to a
practice question). Names of people are in ``annotator`` and ``by``, and in the keys. Nothing here voids an answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake

log = logging.getLogger(__name__)

_EVENTS = "qualification/events/"
Kind = Literal["paused", "lifted", "admitted"]


@dataclass(frozen=True)
class Event:
    """What happened to an annotator. ``by``: the lead, empty for a pause, which the desk decides.

    Of a pause, ``right`` of the last ``of`` checks were right, and the last right one was answered at ``since`` (empty:
    none was). Times are ISO 8601, UTC.
    """

    annotator: str
    kind: Kind
    at: str
    by: str = ""
    right: int = 0
    of: int = 0
    since: str = ""


@dataclass(frozen=True)
class Standing:
    """What the events say of a person: the newest pause or lift, and whether a lead has admitted them."""

    last: Event | None = None
    admitted: bool = False

    @property
    def pause(self) -> Event | None:
        """The pause that holds now, if any."""
        return self.last if self.last and self.last.kind == "paused" else None


@dataclass(frozen=True)
class PracticeResult:
    """What a person has reached in the practice rounds.

    ``finished`` rounds without enough right answers come before the present round, of which ``answered`` questions are
    answered and ``right`` of these right; ``last`` answers were right in the round before (None: there was none).
    """

    passed: bool
    finished: int
    answered: int = 0
    right: int = 0
    last: int | None = None


class Events:
    """The events of a lake as one process knows them; each object is read once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, Event | None] = {}  # by key; None: cannot be read

    def standings(self) -> dict[str, Standing]:
        """Return the standing of each person that has an event, by name: one listing, and a read of each new event."""
        keys = sorted(entry.key for entry in self._lake.store.list_objects(_EVENTS))
        new = [key for key in keys if key not in self._known]
        self._known |= dict(zip(new, map_threads(self._read, new), strict=True))
        found: dict[str, Standing] = {}
        for event in (one for key in keys if (one := self._known[key])):
            before = found.get(event.annotator, Standing())
            if event.kind == "admitted":
                found[event.annotator] = Standing(before.last, admitted=True)
            else:
                found[event.annotator] = Standing(event, before.admitted)
        return found

    def add(self, event: Event, before: Standing) -> bool:
        """Store an event; return False without storing it if something else was stored since ``before`` was read."""
        if self.standings().get(event.annotator, Standing()) != before:
            return False
        prefix = f"{_EVENTS}{annotator_key(event.annotator)}."
        number = sum(key.startswith(prefix) for key in self._known) + 1
        data = json.dumps(asdict(event), sort_keys=True).encode()
        return self._lake.store.put_if_absent(f"{prefix}{number:06d}.json", data)

    def _read(self, key: str) -> Event | None:
        try:
            return Event(**json.loads(self._lake.store.get(key)))
        except (ValueError, TypeError):
            log.exception("%s cannot be read and does not count", self._lake.store.uri(key))
            return None


def failed_checks(answers: Iterable[Mapping[str, Any]], after: str, least: float, last: int) -> tuple[int, str] | None:
    """Return how many of a person's last checks are right, and when the last right one was, if they are too few.

    Too few is a share below ``least`` of the ``last`` checks that were answered later than ``after``; skipped ones do
    not count. None: enough are right, there are not so many yet, or the newest one is right.
    """
    answered = sorted((str(one["answered_at"]), bool(one.get("right"))) for one in answers if not one.get("skipped"))
    newest = [right for at, right in answered if at > after][-last:]
    if len(newest) < last or newest[-1] or sum(newest) >= least * last:
        return None
    return sum(newest), max((at for at, right in answered if right), default=after)


def practice_result(results: Mapping[int, bool], count: int, rounds: int, needed: int) -> PracticeResult:
    """Return what a person has reached, given whether the first answer to each question was right, by its number.

    There are ``rounds`` of ``count`` questions, taken in order; ``needed`` right answers in one of them pass. Who looks
    ahead at a later round has given the first answer there.
    """
    last = None
    for at in range(rounds):
        given = [results[number] for number in range(at * count, (at + 1) * count) if number in results]
        if len(given) < count:
            return PracticeResult(False, at, len(given), sum(given), last)
        last = sum(given)
        if last >= needed:
            return PracticeResult(True, at, last=last)
    return PracticeResult(False, rounds, last=last)


def practised(lake: Lake, annotator: str) -> dict[int, bool]:
    """Return whether a person's first answer to each practice question was right, by its number."""
    keys = [entry.key for entry in lake.store.list_objects(_practice(annotator))]
    numbers = (int(key.rpartition("/")[2].removesuffix(".json")) for key in keys)
    right = map_threads(lambda key: bool(json.loads(lake.store.get(key))["right"]), keys)
    return dict(sorted(zip(numbers, right, strict=True)))


def keep_practice(lake: Lake, annotator: str, number: int, right: bool, at: str) -> None:
    """Store a person's answer to a practice question; only the first one counts."""
    data = json.dumps({"annotator": annotator, "right": right, "at": at}, sort_keys=True).encode()
    lake.store.put_if_absent(f"{_practice(annotator)}{number:03d}.json", data)


def _practice(annotator: str) -> str:
    return f"qualification/practice/{annotator_key(annotator)}/"
