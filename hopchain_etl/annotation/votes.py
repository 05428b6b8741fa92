"""Stored votes of annotators, and the rules for which votes are valid.

A vote is an object ``answers/<query_id>/seat-<n>.<rev>.json``, written once (``If-None-Match: *``). The highest
revision of a seat is valid. A revision with ``retracted`` (an undo), or of a voided annotator, frees the seat; the next
annotator writes the next revision. Late answers are stored separately and never counted.
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
    def key(self) -> str:
        """The key of the vote in the lake."""
        return f"answers/{self.query_id}/seat-{self.seat}.{self.rev}.json"

    @property
    def number(self) -> Fraction | None:
        """The answer as an exact number; None for a reject."""
        return parse_answer(self.answer)

    def data(self) -> bytes:
        """Return the bytes that are stored."""
        return json.dumps(self.model_dump(), sort_keys=True).encode()


def valid_votes(votes: Iterable[Vote], voided: Container[str] = ()) -> dict[int, Vote]:
    """Return the valid vote of each taken seat: the highest revision, unless retracted or voided.

    An annotator counts only once, on the lowest seat; further seats of the same person are free.
    """
    last: dict[int, Vote] = {}
    for vote in votes:
        if vote.seat not in last or vote.rev > last[vote.seat].rev:
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


def void(lake: Lake, annotator: str, *, by: str, reason: str) -> bool:
    """Void an annotator: none of the answers count any more. Return False if the annotator was already voided."""
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
    """Return 16 hex digits that identify an annotator in keys, because names may contain any character."""
    return hashlib.sha256(annotator.encode()).hexdigest()[:16]
