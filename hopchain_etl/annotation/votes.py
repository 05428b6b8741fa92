"""Stored votes of annotators, and the rules for which votes are valid.

A vote is an object ``votes/<batch>/<query_id>/seat-<n>.<rev>.json``, written once (``If-None-Match: *``). The highest
revision of a seat is valid. A revision with ``retracted`` (an undo), or of a voided annotator, frees the seat; the next
annotator writes the next revision. Late answers are stored separately and never counted.

A batch that continues a closed one takes over its votes: they stay below the closed batch, and revisions count on.

What leads say of an annotator is ``annotators/<hash>.<n>.voided.json``; the highest number counts, and none is ever
written again, so that what is said meanwhile is not lost. ``<n>.finished.json`` beside it says that all follows it.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Container, Iterable
from dataclasses import dataclass
from fractions import Fraction

from pydantic import BaseModel, ConfigDict, Field

from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake

VOTE_KEY = re.compile(r"votes/(?P<batch>[^/]+)/(?P<query>[0-9a-f]{64})/seat-(?P<seat>\d{1,2})\.(?P<rev>\d{1,9})\.json")
_ANSWER = re.compile(r"/(seat|late)-[^/]+\.json$")
_VOIDS = "annotators/"
_TOMBSTONE = re.compile(r"annotators/(?P<who>[^/.]+)(?:\.(?P<number>\d{4,}))?\.(?P<kind>voided|finished)\.json")


class Vote(BaseModel):
    """The content of a vote: an answer or a reject reason (the table's suite checks that it has exactly one)."""

    model_config = ConfigDict(coerce_numbers_to_str=True, frozen=True)

    query_id: str
    seat: int
    rev: int
    annotator: str
    answer: str | None = None
    reject_reason: str | None = None
    comment: str | None = None
    seconds: float | None = Field(None, allow_inf_nan=False)  # that the question was visible
    active_seconds: float | None = Field(None, allow_inf_nan=False)  # of these, without pauses; None: not measured
    answered_at: str
    unsure: bool | None = None  # the annotator is not sure and asks the lead to look; counts as any answer
    answer_id: str | None = None  # created by the page; identifies repeated requests
    batch: str | None = None
    retracted: bool = False

    @property
    def number(self) -> Fraction | None:
        """The answer as an exact number; None for a reject."""
        return parse_answer(self.answer)

    def data(self) -> bytes:
        """Return the bytes that are stored."""
        return json.dumps(self.model_dump(), sort_keys=True).encode()


def votes_prefix(batch: str, query_id: str = "") -> str:
    """Return the prefix of everything that is stored of the answers to a query in a batch, or in the whole batch."""
    return f"votes/{batch}/{query_id}/" if query_id else f"votes/{batch}/"


def vote_key(batch: str, query_id: str, seat: int, rev: int) -> str:
    """Return the key of a vote."""
    return f"{votes_prefix(batch, query_id)}seat-{seat}.{rev}.json"


def valid_votes(votes: Iterable[Vote], voided: Container[str] = ()) -> dict[int, Vote]:
    """Return the valid vote of each taken seat: the highest revision, unless retracted or voided.

    Of equal revisions the later one in ``votes`` is valid. An annotator counts only once, on the lowest seat; further
    seats of the same person are free.
    """
    last: dict[int, Vote] = {}
    for vote in votes:
        if vote.seat not in last or vote.rev >= last[vote.seat].rev:
            last[vote.seat] = vote
    taken: dict[int, Vote] = {}
    people: set[str] = set()
    for seat, vote in sorted(last.items()):
        if not vote.retracted and vote.annotator not in voided and vote.annotator not in people:
            people.add(vote.annotator)
            taken[seat] = vote
    return taken


def who_answered(lake: Lake, names: Iterable[str], queries: Iterable[str]) -> dict[str, set[str]]:
    """Return who has ever answered each of these queries in these batches, by name; also late, or taken back."""
    places = [(name, query) for name in names for query in queries]

    def read(place: tuple[str, str]) -> tuple[str, set[str]]:
        keys = [entry.key for entry in lake.store.list_objects(votes_prefix(*place))]
        given = (lake.store.get(key) for key in keys if _ANSWER.search(key))
        return place[1], {str(json.loads(data).get("annotator", "")) for data in given}

    found: dict[str, set[str]] = {}
    for query, people in map_threads(read, places) if places else ():
        found.setdefault(query, set()).update(people)
    return found


def in_full_sample(query_id: str, share: float) -> bool:
    """Return whether a question is in the sample that is answered on every seat; depends only on its id."""
    return int(query_id[:13], 16) / 16**13 < share


@dataclass(frozen=True)
class Tombstone:
    """What leads said last about an annotator: ``voided``, or taken back. ``number`` counts what was said.

    ``pending``: settled batches may not have been computed again yet.
    """

    annotator: str
    by: str
    reason: str
    voided: bool
    number: int
    pending: bool


def tombstones(lake: Lake) -> list[Tombstone]:
    """Return the newest tombstone of each annotator that has one."""
    last: dict[str, tuple[int, str]] = {}
    finished = set()
    for entry in lake.store.list_objects(_VOIDS):
        if match := _TOMBSTONE.fullmatch(entry.key):
            who, number = match["who"], int(match["number"] or 0)
            if match["kind"] == "finished":
                finished.add((who, number))
            else:
                last[who] = max(last.get(who, (0, entry.key)), (number, entry.key))

    def read(who: str) -> Tombstone:
        number, key = last[who]
        held = json.loads(lake.store.get(key))
        pending = (who, number) not in finished and held.get("pending", number > 0)  # number 0: of an earlier version
        facts = {name: held.get(name, "") for name in ("annotator", "by", "reason")}
        return Tombstone(**facts, voided=held.get("voided", True), number=number, pending=pending)

    return map_threads(read, sorted(last))


def voided(lake: Lake) -> dict[str, Tombstone]:
    """Return the tombstone of each voided annotator, by name."""
    return {stone.annotator: stone for stone in tombstones(lake) if stone.voided}


def put_tombstone(lake: Lake, annotator: str, *, by: str, reason: str, voided: bool) -> Tombstone:
    """Say that an annotator is voided, or is not any more; it is pending. What was said before is not changed."""
    facts = {"annotator": annotator, "by": by, "reason": reason, "voided": voided, "id": uuid.uuid4().hex}
    data = json.dumps(facts, sort_keys=True).encode()
    number = max((one.number for one in tombstones(lake) if one.annotator == annotator), default=0) + 1
    while not lake.store.put_if_absent(_tombstone_key(annotator, number, "voided"), data):
        number += 1
    return Tombstone(annotator, by, reason, voided, number, pending=True)


def finish_tombstone(lake: Lake, stone: Tombstone) -> None:
    """Record that settled batches have been computed again after this tombstone; later ones are not touched."""
    lake.store.put(_tombstone_key(stone.annotator, stone.number, "finished"), b"{}")


def _tombstone_key(annotator: str, number: int, kind: str) -> str:
    return f"{_VOIDS}{annotator_key(annotator)}.{number:04d}.{kind}.json"


def annotator_key(annotator: str) -> str:
    """Return 16 hex digits that identify an annotator in keys, because names may contain any character."""
    return hashlib.sha256(annotator.encode()).hexdigest()[:16]
