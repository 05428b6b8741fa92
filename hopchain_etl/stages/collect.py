"""Collect: from single votes of annotators to the ``answers`` table, and to what a batch has decided.

A vote is an object ``answers/<query_id>/seat-<n>.<rev>.json`` that is written once; the highest revision of a seat
counts. The table lies beside the votes under ``answers/<fingerprint>/intake=<batch>/``: query ids have 64 hex digits,
fingerprints 12.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hopchain_etl import batches, records
from hopchain_etl.batches import Batch
from hopchain_etl.engines.base import Identity, Row
from hopchain_etl.lake import Lake, Marker, Part, Shard
from hopchain_etl.quality import Validator
from hopchain_etl.stages.assemble import number_of
from hopchain_etl.stages.lineage import Lineage
from hopchain_etl.stages.resources import Resources
from hopchain_etl.store import together

log = logging.getLogger(__name__)

REVISION = 1
RESOURCES = Resources()
_VOTE = re.compile(r"answers/(?P<query>[0-9a-f]{64})/seat-(?P<seat>\d{1,2})\.(?P<rev>\d{1,9})\.json")


class Decision(StrEnum):
    """What the answers to one query make of it."""

    KEPT = "kept"
    DROPPED = "dropped"
    OPEN = "open"


@dataclass(frozen=True)
class Vote:
    """A stored vote as a listing shows it."""

    key: str
    etag: str
    query_id: str
    seat: int
    rev: int


@dataclass(frozen=True)
class Standing:
    """How far a batch is, in queries. ``answers`` is the fingerprint of its table, ``inputs`` the digest of votes."""

    id: str
    closed: bool
    kept: int
    dropped: int
    open: int
    answers: str
    inputs: str

    @property
    def final(self) -> bool:
        """Whether nothing more is waited for."""
        return self.closed or not self.open


class _Ballot(BaseModel):
    """What a vote says. Answer or reject reason: the table's suite sees to it that it is one of the two."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    query_id: str
    seat: int
    rev: int
    annotator: str
    answer: str | None = None
    reject_reason: str | None = None
    seconds: float | None = Field(None, allow_inf_nan=False)
    answered_at: str


def collect(lake: Lake, validate: Validator) -> list[Standing]:
    """Bring the answers table of every batch up to its votes; return the batches that have newly become final.

    Final is a batch whose queries are all decided, or that a lead has closed, and that ``batches.settle`` has not
    recorded yet. Run again on the same votes it writes nothing and returns the same.
    """
    found = batches.states(lake)
    cast = votes(lake) if found else {}
    final = []
    for name, kinds in found.items():
        batch = batches.load(lake, name)
        mine = [vote for query in dict.fromkeys(batch.query_ids) for vote in cast.get(query, ())]
        inputs = digest(mine)
        compact(lake, batch, mine, inputs, validate)
        if "decided" not in kinds:
            standing = _standing(lake, batch, inputs, closed="closed" in kinds)
            log.info("batch %s: %d kept, %d dropped, %d open", name, standing.kept, standing.dropped, standing.open)
            final += [standing] if standing.final else []
    return final


def votes(lake: Lake) -> dict[str, list[Vote]]:
    """Return every vote by query_id, by one listing and without reading any."""
    cast: dict[str, list[Vote]] = {}
    for entry in lake.store.entries("answers/"):
        if match := _VOTE.fullmatch(entry.key):
            vote = Vote(entry.key, entry.etag, match["query"], int(match["seat"]), int(match["rev"]))
            cast.setdefault(vote.query_id, []).append(vote)
    return cast


def digest(mine: Iterable[Vote]) -> str:
    """Return 16 hex digits over the keys and contents of votes."""
    lines = sorted(f"{vote.key}\n{vote.etag}\n" for vote in mine)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def lineage(batch: Batch) -> Lineage:
    """Return where a batch's answers come from: people under a policy, asked the queries of a lineage."""
    return Lineage("collect", REVISION, Identity("people", "1", batch.policy), batch.lineage)


def compact(lake: Lake, batch: Batch, mine: Sequence[Vote], inputs: str, validate: Validator) -> None:
    """Write a batch's votes as one shard of the answers table, unless it holds exactly these votes already.

    In the marker ``read`` counts votes: older revisions, unreadable votes and those that fail the table's suite are
    rejected, all others are rows. However many fail, the shard is written: a few early votes are no sample.
    """
    asked = lineage(batch)
    shard = Shard(batch.id, 0)
    held = lake.marker("answers", asked.fingerprint, shard)
    if held.inputs == inputs if held else not mine:
        return
    rows, origins, rejects = _rows(lake, mine)
    table = pa.Table.from_pylist(rows, schema=records.ANSWERS)
    verdict = validate("answers", table)
    rejects += [
        _reject(lake, origins[index], name, "failed the table's suite", rows[index])
        for index, name in verdict.failing.items()
    ]
    kept = table.take([index for index in range(len(rows)) if index not in verdict.failing])
    folder = lake.folder("answers", asked.fingerprint, shard)
    lake.put_json(f"lineages/{asked.fingerprint}.json", asked.facts)
    lake.put_json(folder + "validation.json", verdict.summary)
    marker = Marker(
        parts=_write(lake, folder, "part", kept),
        rejects=_write(lake, folder, "rejects", pa.Table.from_pylist(rejects, schema=records.REJECTS)),
        read=len(mine),
        ok=kept.num_rows,
        rejected=len(rejects),
        failed=0,
        inputs=inputs,
        reasons=dict(Counter(reject["reason"] for reject in rejects)),
    )
    lake.mark(folder, marker)
    log.info("batch %s: read %d votes, ok %d, rejected %d", batch.id, marker.read, marker.ok, marker.rejected)


def decide(rows: Iterable[Row], seats: int) -> Decision:
    """Return what rows of ``answers`` make of their query: kept with ``seats`` people of the same mind.

    "Only unanimous answers stay" [C]: one reject, one answer that is no number or two different numbers drop it,
    without waiting for the rest.
    """
    given = list(rows)
    numbers = {number_of(row["answer"]) for row in given}
    if len(numbers) > 1 or None in numbers:
        return Decision.DROPPED
    return Decision.KEPT if len({row["annotator"] for row in given}) >= seats else Decision.OPEN


def _standing(lake: Lake, batch: Batch, inputs: str, *, closed: bool) -> Standing:
    fingerprint = lineage(batch).fingerprint
    given: dict[str, list[Row]] = {query: [] for query in batch.query_ids}
    if lake.marker("answers", fingerprint, Shard(batch.id, 0)):
        for row in lake.read("answers", fingerprint, Shard(batch.id, 0), withdrawn=()).to_pylist():
            given[row["query_id"]].append(row)
    tally = Counter(decide(rows, batch.seats) for rows in given.values())
    counts = tally[Decision.KEPT], tally[Decision.DROPPED], tally[Decision.OPEN]
    return Standing(batch.id, closed, *counts, answers=fingerprint, inputs=inputs)


def _rows(lake: Lake, mine: Sequence[Vote]) -> tuple[list[Row], list[Vote], list[Row]]:
    """Return the rows of the votes that count, the vote behind each row, and what was rejected."""
    last: dict[tuple[str, int], Vote] = {}
    for vote in mine:
        seat = vote.query_id, vote.seat
        last[seat] = max(last.get(seat, vote), vote, key=lambda one: one.rev)
    rows, origins = [], []
    older = (vote for vote in mine if last[vote.query_id, vote.seat] is not vote)
    rejects = [_reject(lake, vote, "superseded", "the seat has a later revision") for vote in older]
    read = together(lambda vote: (vote, lake.store.get(vote.key)), last.values())
    for vote, data in sorted(read, key=lambda pair: (pair[0].query_id, pair[0].seat)):
        try:
            rows.append(_row(vote, data))
        except ValueError as error:  # what is no JSON or lacks a field: pydantic's errors are ValueErrors too
            rejects.append(_reject(lake, vote, "unreadable_vote", _told(error)))
        else:
            origins.append(vote)
    return rows, origins, rejects


def _row(vote: Vote, data: bytes) -> Row:
    ballot = _Ballot.model_validate_json(data)
    if (ballot.query_id, ballot.seat, ballot.rev) != (vote.query_id, vote.seat, vote.rev):
        raise ValueError(f"it speaks of query {ballot.query_id}, seat {ballot.seat}, revision {ballot.rev}")
    return ballot.model_dump(exclude={"rev"})


def _told(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return str(error)


def _reject(lake: Lake, vote: Vote, reason: str, detail: str, payload: Row | None = None) -> Row:
    told = {"reason": reason, "detail": detail, "payload": json.dumps(payload, sort_keys=True) if payload else None}
    place = {"input_id": vote.key, "uri": lake.store.uri(vote.key), "etag": vote.etag, "image_id": None}
    return {"stage": "collect", "scope": "input", "outcome": "rejected", **told, **place}


def _write(lake: Lake, folder: str, stem: str, rows: pa.Table) -> tuple[Part, ...]:
    size = lake.settings.rows_per_part
    cuts = enumerate(range(0, rows.num_rows, size))
    return tuple(lake.write_part(folder, f"{stem}-{number:05d}", rows.slice(at, size)) for number, at in cuts)
