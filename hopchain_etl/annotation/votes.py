"""Votes of annotators as they are stored, and which of them count.

A vote is an object ``answers/<query_id>/seat-<n>.<rev>.json``, written once (``If-None-Match: *``). The highest
revision of a seat counts: one that says ``retracted`` (an undo) frees the seat, as does a voided annotator, and whoever
takes it then writes the next revision. Answers that came too late are kept beside the seats and never counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable
from fractions import Fraction

from pydantic import BaseModel, ConfigDict, Field

from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake

VOTE_KEY = re.compile(r"answers/(?P<query>[0-9a-f]{64})/seat-(?P<seat>\d{1,2})\.(?P<rev>\d{1,9})\.json")
_VOIDS = "annotators/"
_VOIDED = ".voided.json"


class Vote(BaseModel):
    """What a vote says. Answer or reject reason: the table's suite sees to it that it is one of the two."""

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
    answer_id: str | None = None  # made by the page: a repeated request is known by it
    batch: str | None = None
    retracted: bool = False

    @property
    def key(self) -> str:
        """Where the vote is stored."""
        return f"answers/{self.query_id}/seat-{self.seat}.{self.rev}.json"

    @property
    def number(self) -> Fraction | None:
        """The answer as an exact number; None for a reject."""
        return parse_answer(self.answer)

    def data(self) -> bytes:
        """Return the bytes that are stored."""
        return json.dumps(self.model_dump(), sort_keys=True).encode()


def valid_votes(ballots: Iterable[Vote], voided: Container[str] = ()) -> dict[int, Vote]:
    """Return the vote that counts of each seat that is taken: the highest revision, unless retracted or voided.

    A person counts once, on the lowest of his seats; the others are free.
    """
    last: dict[int, Vote] = {}
    for ballot in ballots:
        if ballot.seat not in last or ballot.rev > last[ballot.seat].rev:
            last[ballot.seat] = ballot
    taken: dict[int, Vote] = {}
    people: set[str] = set()
    for seat, ballot in sorted(last.items()):
        if not ballot.retracted and ballot.annotator not in voided and ballot.annotator not in people:
            people.add(ballot.annotator)
            taken[seat] = ballot
    return taken


def in_full_sample(query_id: str, share: float) -> bool:
    """Return whether a question is in the sample that everybody answers, by its id alone."""
    return int(query_id[:13], 16) / 16**13 < share


def void(lake: Lake, annotator: str, *, by: str, reason: str) -> bool:
    """Let nothing that ``annotator`` answers count any more; return False where that was so before."""
    stone = {"annotator": annotator, "by": by, "reason": reason}
    return lake.store.put_if_absent(
        f"{_VOIDS}{annotator_key(annotator)}{_VOIDED}", json.dumps(stone, sort_keys=True).encode()
    )


def voided(lake: Lake) -> dict[str, dict[str, str]]:
    """Return the tombstone of each voided annotator, by name."""
    stones = [
        json.loads(lake.store.get(entry.key))
        for entry in lake.store.list_objects(_VOIDS)
        if entry.key.endswith(_VOIDED)
    ]
    return {stone["annotator"]: stone for stone in stones}


def annotator_key(annotator: str) -> str:
    """Return 16 hex digits that stand for an annotator in keys: names may hold anything."""
    return hashlib.sha256(annotator.encode()).hexdigest()[:16]
