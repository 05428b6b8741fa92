"""Collect: compacts annotators' votes into the ``answers`` table and computes the decisions of each batch.

A vote is an object ``votes/<batch>/<query_id>/seat-<n>.<rev>.json`` that is written once; the highest revision of a
seat is valid, unless it is retracted or its annotator is voided (see ``votes``). Only the votes of batches that are not
settled are listed. The table is ``answers/<fingerprint>/intake=<batch>/``.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from hopchain_etl import schemas
from hopchain_etl.annotation import batches, votes
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.vote_archive import reopen, unpack
from hopchain_etl.annotation.votes import VOTE_KEY, Vote, in_full_sample
from hopchain_etl.annotation.withdrawn import hash_of_photo, withdrawn_of_batches
from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import Identity, Row
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.lake.manifest import FOLD_AT
from hopchain_etl.lake.migrate_votes import require_migrated
from hopchain_etl.quality.validator import Validator
from hopchain_etl.stages.lineage import Lineage

log = logging.getLogger(__name__)

REVISION = 1


@dataclass(frozen=True)
class VoteObject:
    """A stored vote as seen in a listing (not read yet)."""

    key: str
    etag: str
    query_id: str
    seat: int
    rev: int
    place: int  # of its batch in the chain of batches that continue each other; the last one is the batch itself

    @property
    def order(self) -> tuple[int, int]:
        """What the valid vote of a seat has the highest of."""
        return self.rev, self.place


@dataclass(frozen=True)
class BatchProgress:
    """Progress of a batch, as numbers of queries.

    ``answers`` is the fingerprint of its table, ``inputs`` the digest of its votes.
    Open queries still need answers; queries of the full sample stay open until every seat is taken. Those of
    ``withdrawn`` photos need none, and are in no other count; ``withdrawn_photos`` has the hashes of these photos.
    """

    id: str
    closed: bool
    kept: int
    dropped: int
    open: int
    answers: str
    inputs: str
    withdrawn: int = 0
    withdrawn_photos: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        """Whether no more votes are expected."""
        return self.closed or not self.open


def collect(lake: Lake, validate: Validator, *, settled: bool = False) -> list[BatchProgress]:
    """Update the answers table of each batch that is not settled; return the batches that have just become final.

    A batch becomes final when all its queries are decided or withdrawn, or a lead closes it; it is returned until
    ``settle`` has recorded it. So is one that was settled until somebody was voided, although it may be open again. A
    second run on the same votes writes nothing and returns the same. A batch that cannot be read is logged and left
    out. ``settled`` also writes lost tables of settled batches again.
    """
    require_known_format(lake)
    require_migrated(lake)
    voided = votes.voided(lake)
    final = []
    known = batches.listed(lake)
    withdrawn = withdrawn_of_batches(lake, [one for one in known.values() if "decided" not in one.states])
    for name, listed in known.items():
        states = listed.states
        if "decided" in states and not settled:
            continue
        try:
            if "decided" in states:
                with batches.locked(lake):
                    unpack(lake, name)
            progress = _collect(lake, name, validate, voided, withdrawn, closed="closed" in states)
        except batches.UNREADABLE:
            log.exception("batch %s cannot be collected; the other batches are", name)
            continue
        counts = progress.kept, progress.dropped, progress.open, progress.withdrawn
        log.info("batch %s: %d kept, %d dropped, %d open, %d withdrawn", name, *counts)
        final += [progress] if (progress.final or "changed" in states) and "decided" not in states else []
    return final


def _collect(
    lake: Lake,
    name: str,
    validate: Validator,
    voided: Collection[str],
    withdrawn: Mapping[str, str],
    *,
    closed: bool,
) -> BatchProgress:
    batch = batches.load(lake, name)
    stored = stored_votes(lake, batch)
    inputs = digest(stored, voided)
    marker = compact(lake, batch, stored, inputs, validate, voided)
    given = votes_by_query(batch, votes_in(lake, batch, marker))
    return _progress(batch, given, inputs, withdrawn, closed=closed)


def settle(lake: Lake, progress: Mapping[str, Any]) -> bool:
    """Record that a batch (a BatchProgress as dict) is announced, unless its votes have changed since it was collected.

    It becomes settled if it is final; one that is open again after a void only loses the mark of that.

    Returns False if they have: a vote was taken back, somebody voided, or the batch opened again that a lead had
    closed. The next collect computes the batch again.
    """
    name, inputs = str(progress["id"]), str(progress["inputs"])
    batch = batches.load(lake, name)

    def unchanged() -> bool:
        is_open_again = progress["closed"] and not batches.is_closed(lake, name)
        return not is_open_again and digest(stored_votes(lake, batch), votes.voided(lake)) == inputs

    if unchanged():
        marked = batches.clear_changed(lake, name)
        if BatchProgress(**progress).final:
            batches.mark_decided(lake, name, dict(progress))
        # Looked at again after the record was written: who voids somebody later sees the record and removes it.
        if unchanged():
            return True
        if marked:
            batches.mark_changed(lake, name)
    reopen(lake, name)
    return False


def stored_votes(lake: Lake, batch: Batch) -> list[VoteObject]:
    """Return the votes on a batch's queries, also of the batches that it continues, without reading the objects."""
    wanted = set(batch.query_ids)
    found = []
    for place, name in enumerate((*batches.continued(lake, batch), batch.id)):
        for entry in lake.store.list_objects(votes.votes_prefix(name)):
            if (match := VOTE_KEY.fullmatch(entry.key)) and match["query"] in wanted:
                found.append(
                    VoteObject(entry.key, entry.etag, match["query"], int(match["seat"]), int(match["rev"]), place)
                )
    return found


def digest(stored: Iterable[VoteObject], voided: Iterable[str] = ()) -> str:
    """Return 16 hex digits over the keys and contents of votes, and over the voided annotators."""
    lines = sorted([*(f"{vote.key}\n{vote.etag}\n" for vote in stored), *(f"voided {name}\n" for name in voided)])
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def lineage(batch: Batch) -> Lineage:
    """Return the lineage of a batch's answers: humans under a policy, answering queries of a lineage."""
    return Lineage("collect", REVISION, Identity("people", "1", batch.policy), batch.lineage)


def compact(
    lake: Lake,
    batch: Batch,
    mine: Sequence[VoteObject],
    inputs: str,
    validate: Validator,
    gone: Collection[str] = (),
) -> Marker | None:
    """Write a batch's votes as one shard of the answers table, unless the shard already contains exactly these votes.

    Returns the shard's marker, or None if there are no votes. In the marker ``read`` counts votes: older revisions,
    unreadable, retracted and voided votes, and those that fail the table's suite are rejected, all others are rows. The
    shard is written even if many rows fail, because a few early votes are not a representative sample.
    """
    asked = lineage(batch)
    shard = Shard(batch.id, 0)
    held = lake.marker("answers", asked.fingerprint, shard)
    if held.inputs == inputs if held else not mine:
        return held
    before = {(one.query_id, one.seat, one.rev): one for one in votes_in(lake, batch, held)}
    rows, origins, rejects = _rows(lake, mine, before, gone)
    table = pa.Table.from_pylist(rows, schema=schemas.ANSWERS)
    verdict = validate("answers", table)
    rejects += [
        _reject(lake, origins[index], name, "failed the table's suite", rows[index])
        for index, name in verdict.failing.items()
    ]
    passing = [index for index in range(len(rows)) if index not in verdict.failing]
    kept = table.take(pa.array(passing, pa.int64()))  # with a type, because there may be none
    folder = lake.folder("answers", asked.fingerprint, shard)
    lake.put_json(f"lineages/{asked.fingerprint}.json", asked.facts)
    lake.put_json(folder + "validation.json", verdict.summary)
    marker = Marker(
        parts=lake.write_parts(folder, "part", kept),
        rejects=lake.write_parts(folder, "rejects", pa.Table.from_pylist(rejects, schema=schemas.REJECTS)),
        read=len(mine),
        ok=kept.num_rows,
        rejected=len(rejects),
        failed=0,
        inputs=inputs,
        reasons=dict(Counter(reject["reason"] for reject in rejects)),
    )
    lake.write_marker("answers", asked.fingerprint, shard, marker)
    lake.manifest("answers", asked.fingerprint).fold(FOLD_AT)
    log.info("batch %s: read %d votes, ok %d, rejected %d", batch.id, marker.read, marker.ok, marker.rejected)
    return marker


def valid_votes_of_batch(lake: Lake, batch: Batch) -> list[Vote]:
    """Return the valid votes of a batch from its table; empty before the first collect."""
    return votes_in(lake, batch, lake.marker("answers", lineage(batch).fingerprint, Shard(batch.id, 0)))


def votes_in(lake: Lake, batch: Batch, marker: Marker | None) -> list[Vote]:
    """Return the valid votes of a batch from its table, which has this marker; none if it has none yet."""
    if marker is None:
        return []
    folder = lake.folder("answers", lineage(batch).fingerprint, Shard(batch.id, 0))
    rows = lake.parts(folder, marker.parts, schemas.TABLES["answers"]).to_pylist()
    return [Vote.model_construct(**{**row, "rev": row["rev"] or 0, "batch": batch.id}) for row in rows]


def valid_votes_by_query(lake: Lake, batch: Batch) -> dict[str, list[Vote]]:
    """Return the same for each query of a batch, in the batch's order; empty lists for those without votes."""
    return votes_by_query(batch, valid_votes_of_batch(lake, batch))


def votes_by_query(batch: Batch, cast: Iterable[Vote]) -> dict[str, list[Vote]]:
    """Return votes by query, in the order of the batch; empty lists for queries without votes."""
    given: dict[str, list[Vote]] = {query: [] for query in batch.query_ids}
    for vote in cast:
        given[vote.query_id].append(vote)
    return given


def decide(given: Iterable[Vote | Row], rule: ConsensusRule) -> ConsensusOutcome:
    """Return the decision on a query from its valid votes or its rows of ``answers``."""
    rows = (vars(one) if isinstance(one, Vote) else one for one in given)
    return tally_votes(((row["annotator"], parse_answer(row["answer"])) for row in rows), rule)


def is_open(query: str, cast: Sequence[Vote], rule: ConsensusRule, full_share: float) -> bool:
    """Return whether a query still needs answers: it is not decided, or of the full sample and a seat is free."""
    waits = in_full_sample(query, full_share) and len({vote.annotator for vote in cast}) < rule.seats
    return waits or decide(cast, rule).decision is Decision.OPEN


def _progress(
    batch: Batch, given: Mapping[str, Sequence[Vote]], inputs: str, withdrawn: Mapping[str, str], *, closed: bool
) -> BatchProgress:
    rule, share = ConsensusRule.from_policy(batch.policy), float(batch.policy.get("full_share", 0))
    tally: Counter[Decision] = Counter()
    for query, cast in given.items():
        if query in withdrawn:
            continue
        tally[Decision.OPEN if is_open(query, cast, rule, share) else decide(cast, rule).decision] += 1
    counts = tally[Decision.KEPT], tally[Decision.DROPPED], tally[Decision.OPEN]
    photos = tuple(sorted({hash_of_photo(withdrawn[query]) for query in given if query in withdrawn}))
    gone = len(given) - tally.total()
    return BatchProgress(batch.id, closed, *counts, lineage(batch).fingerprint, inputs, gone, photos)


def _rows(
    lake: Lake, stored: Sequence[VoteObject], before: Mapping[tuple[str, int, int], Vote], voided: Collection[str]
) -> tuple[list[Row], list[VoteObject], list[Row]]:
    """Return the rows of the valid votes, the stored vote of each row, and the rejects.

    Votes never change, so votes already in the table (``before``) are not read again, unless the same seat and revision
    was written to two batches (to a closed one while another that continues it was made).
    """
    last: dict[tuple[str, int], VoteObject] = {}
    for one in stored:
        seat = one.query_id, one.seat
        last[seat] = max(last.get(seat, one), one, key=lambda other: other.order)
    names = Counter((one.query_id, one.seat, one.rev) for one in stored)
    rows, origins = [], []
    older = (one for one in stored if last[one.query_id, one.seat] is not one)
    rejects = [_reject(lake, one, "superseded", "the seat has a later revision") for one in older]

    def read(one: VoteObject) -> tuple[VoteObject, Vote | bytes]:
        name = one.query_id, one.seat, one.rev
        return one, (before.get(name) if names[name] == 1 else None) or lake.store.get(one.key)

    for origin, found in sorted(map_threads(read, last.values()), key=lambda pair: (pair[0].query_id, pair[0].seat)):
        try:
            vote = found if isinstance(found, Vote) else _parse_vote(origin, found)
        except ValueError as error:  # invalid JSON or missing fields (pydantic's ValidationError is a ValueError)
            rejects.append(_reject(lake, origin, "unreadable_vote", _error_text(error)))
            continue
        if vote.retracted:
            rejects.append(_reject(lake, origin, "retracted", "taken back by who gave it"))
        elif vote.annotator in voided:
            rejects.append(_reject(lake, origin, "voided", "a lead has voided this annotator"))
        else:
            rows.append({name: getattr(vote, name) for name in schemas.ANSWERS.names})
            origins.append(origin)
    return rows, origins, rejects


def _parse_vote(stored: VoteObject, data: bytes) -> Vote:
    vote = Vote.model_validate_json(data)
    if (vote.query_id, vote.seat, vote.rev) != (stored.query_id, stored.seat, stored.rev):
        raise ValueError(f"it speaks of query {vote.query_id}, seat {vote.seat}, revision {vote.rev}")
    return vote


def _error_text(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return str(error)


def _reject(lake: Lake, vote: VoteObject, reason: str, detail: str, payload: Row | None = None) -> Row:
    facts = {"reason": reason, "detail": detail, "payload": json.dumps(payload, sort_keys=True) if payload else None}
    place = {"input_id": vote.key, "uri": lake.store.uri(vote.key), "etag": vote.etag, "image_id": None}
    return {"stage": "collect", "scope": "input", "outcome": "rejected", **facts, **place}
