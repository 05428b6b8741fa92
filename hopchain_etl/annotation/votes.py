"""Stored votes of annotators, and the rules for which votes are valid.

A vote is an object ``votes/<batch>/<query_id>/seat-<n>.<rev>.json``, written once (``If-None-Match: *``). The highest
revision of a seat is valid. A revision with ``retracted`` (an undo), or of a voided annotator, frees the seat; the next
annotator writes the next revision. Late answers are stored separately and never counted.

A batch that continues a closed one takes over its votes: they stay below the closed batch, and revisions count on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake

VOTE_KEY = re.compile(r"votes/(?P<batch>[^/]+)/(?P<query>[0-9a-f]{64})/seat-(?P<seat>\d{1,2})\.(?P<rev>\d{1,9})\.json")
_VOIDS = "annotators/"
_VOIDED = ".voided.json"

Tombstone = dict[str, Any]


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
    seconds: float | None = Field(None, allow_inf_nan=False)
    answered_at: str
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


def in_full_sample(query_id: str, share: float) -> bool:
    """Return whether a question is in the sample that is answered on every seat; depends only on its id."""
    return int(query_id[:13], 16) / 16**13 < share


def tombstones(lake: Lake) -> list[Tombstone]:
    """Return all tombstones of annotators, also of those whose answers are about to count again (``voided`` False)."""
    keys = [entry.key for entry in lake.store.list_objects(_VOIDS) if entry.key.endswith(_VOIDED)]
    return [json.loads(lake.store.get(key)) for key in keys]


def voided(lake: Lake) -> dict[str, Tombstone]:
    """Return the tombstone of each voided annotator, by name."""
    return {stone["annotator"]: stone for stone in tombstones(lake) if stone.get("voided", True)}


def put_tombstone(lake: Lake, stone: Tombstone) -> None:
    """Write an annotator's tombstone."""
    lake.store.put(_tombstone_key(stone["annotator"]), json.dumps(stone, sort_keys=True).encode())


def delete_tombstone(lake: Lake, annotator: str) -> None:
    """Delete an annotator's tombstone."""
    lake.store.delete([_tombstone_key(annotator)])


def _tombstone_key(annotator: str) -> str:
    return f"{_VOIDS}{annotator_key(annotator)}{_VOIDED}"


def annotator_key(annotator: str) -> str:
    """Return 16 hex digits that identify an annotator in keys, because names may contain any character."""
    return hashlib.sha256(annotator.encode()).hexdigest()[:16]
