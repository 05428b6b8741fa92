"""The loop that every stage shares: read a shard, process its rows, validate, write, account, mark.

Every input row has exactly one outcome: ok (it gave output rows), rejected (with a reason), failed (an error; retried
by the next plan) or quarantined (an error in every attempt; retried on request). The marker checks that they add up.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.engines.launches import launches_since
from hopchain_etl.errors import StoppedError
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.quality.validator import Validator
from hopchain_etl.schemas import storable
from hopchain_etl.stages.quarantine import History, QuarantinedRow, history
from hopchain_etl.stages.shard_result import RowBuffer, ShardResult

log = logging.getLogger(__name__)

Row = dict[str, Any]
_SUITE = "failed the table's suite"


@dataclass(frozen=True)
class Cost:
    """Cost of processing a row: model tokens and seconds of model time."""

    tokens: int = field(default=0, kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True)
class Rejected(Cost):
    """A row that was processed and rejected. ``payload`` is the rejected object, kept for inspection."""

    reason: str
    detail: str = ""
    payload: Any = None


@dataclass(frozen=True)
class Failed(Cost):
    """A row that could not be processed, or only in part, because of an error; the next plan retries it.

    Results of the successful part are kept. ``permanent``: the row itself is the cause, so that attempts are counted.
    """

    error: str
    rows: Sequence[Row] = ()
    rejected_candidates: Sequence[Rejected] = ()
    permanent: bool = field(default=False, kw_only=True)

    @classmethod
    def of(cls, errors: Sequence[Failed], rows: Sequence[Row], rejected_candidates: Sequence[Rejected]) -> Failed:
        """Return several errors of one row as one; it is permanent only if all are."""
        text, permanent = "; ".join(one.error for one in errors), all(one.permanent for one in errors)
        return cls(text, rows, rejected_candidates, permanent=permanent)


@dataclass(frozen=True)
class Accepted(Cost):
    """An accepted row: its output rows, and the candidates that were rejected."""

    rows: Sequence[Row]
    rejected_candidates: Sequence[Rejected] = ()


Outcome = Accepted | Rejected | Failed


class Stage(Protocol):
    """One pipeline stage that writes one table.

    ``process`` yields one outcome for each input row, in order; ``journal`` is that of the rows' shard.
    """

    name: str
    table: str

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        """Return the tables, with fingerprints, that are the inputs of the shard; they must be complete."""
        ...

    def read(self, lake: Lake, shard: Shard) -> Sequence[Row]:
        """Return the shard's input rows; each has ``input_id`` and ``image_id`` (or a uri, before ingest)."""
        ...

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]: ...


class Progress(Protocol):
    """Receives what becomes of a shard, row by row; for progress bars and logs."""

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome | QuarantinedRow) -> None: ...

    def finish(self, marker: Marker, rows: int) -> None: ...


class NoProgress:
    """A progress reporter that does nothing."""

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome | QuarantinedRow) -> None: ...

    def finish(self, marker: Marker, rows: int) -> None: ...


def run_shard(
    stage: Stage,
    lake: Lake,
    fingerprint: str | None,
    shard: Shard,
    *,
    validate: Validator,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    max_attempts: int = 3,
    retry_quarantined: bool = False,
) -> Marker:
    """Run one stage over one shard and return its marker; a complete shard is skipped.

    A row that has failed permanently ``max_attempts`` times is quarantined, if an earlier run has processed any other
    row of the shard: later runs carry it over, unless ``retry_quarantined``. Raises StoppedError if ``stop`` was set,
    and QualityError if too many rows failed the table's suite: then the validation result is in the lake, and the shard
    is not marked.
    """
    started, requests, launches = time.time(), Counter(lake.store.calls), len(launches_since())
    folder = lake.folder(stage.table, fingerprint, shard)
    digest = lake.inputs_digest(stage.sources, shard)
    done = lake.marker(stage.table, fingerprint, shard)
    if done and not done.failed and done.inputs == digest and not (retry_quarantined and done.quarantined):
        log.info("%s %s is complete already", stage.name, shard)
        lake.manifest(stage.table, fingerprint).record(shard, done)  # an earlier attempt may have been killed before
        return done
    past = history(lake, stage.table, folder, done, retry=retry_quarantined)
    progress = progress or NoProgress()
    inputs = stage.read(lake, shard)
    progress.start(stage.name, shard, len(inputs))
    with Journal(lake, shard) as journal:
        tally = _collect(stage, lake, journal, inputs, past, max_attempts, progress, stop or threading.Event())

    rows = tally.rows.table()
    verdict = validate(stage.table, rows)
    lake.put_json(folder + "validation.json", verdict.summary)
    verdict.raise_if_over_threshold(f"{stage.table} {shard}")
    kept = _reject_failing_rows(stage, inputs, tally, rows, verdict.failing)
    _reject_inputs_without_output(stage, inputs, tally, {tally.origins[index] for index in kept})

    marker = Marker(
        parts=lake.write_parts(folder, "part", rows.take(pa.array(kept, pa.int64()))),
        rejects=lake.write_parts(folder, "rejects", tally.rejects_in_order()),
        read=len(inputs),
        ok=len(inputs) - len(tally.settled),
        rejected=len(tally.rejected),
        failed=len(tally.failed),
        quarantined=len(tally.quarantined),
        attempts=tally.attempts,
        inputs=digest,
        reasons=dict(tally.reasons),
    )
    loading = sum(one.seconds for one in launches_since(launches))
    lake.put_json(folder + "stats.json", _stats(started, loading, tally, Counter(lake.store.calls) - requests))
    lake.write_marker(stage.table, fingerprint, shard, marker)
    journal.compact()
    progress.finish(marker, len(kept))
    return marker


def _collect(
    stage: Stage,
    lake: Lake,
    journal: Journal,
    inputs: Sequence[Row],
    past: History,
    max_attempts: int,
    progress: Progress,
    stop: threading.Event,
) -> ShardResult:
    """Return the results of all rows: those of quarantined rows as they are stored, all others from the stage."""
    tally = ShardResult(RowBuffer(schemas.TABLES[stage.table]))
    outcomes = stage.process(lake, journal, [row for row in inputs if row["input_id"] not in past.quarantined])
    for index, row in enumerate(inputs):
        if stored := past.quarantined.get(row["input_id"]):
            progress.advance(stored)
            _carry_over(tally, index, row, stored, past)
            continue
        if stop.is_set():
            close: Callable[[], None] = getattr(outcomes, "close", lambda: None)
            close()  # stops the engines; the answers so far are kept
            raise StoppedError(f"{stage.name} stopped at row {index} of {len(inputs)}; run it again to continue")
        outcome = next(outcomes, None)
        assert outcome is not None, f"{stage.name} gave no outcome for row {index}"
        progress.advance(outcome)
        tally.tokens += outcome.tokens
        tally.paid += outcome.tokens > 0
        tally.seconds += outcome.seconds
        if isinstance(outcome, Rejected):
            tally.rejected.add(index)
            tally.add_rejects(index, _reject(stage, row, outcome, "input"))
            continue
        tally.add_rows(index, outcome.rows)
        tally.add_rejects(index, *(_reject(stage, row, rejected, "output") for rejected in outcome.rejected_candidates))
        if isinstance(outcome, Failed):
            attempts = past.attempts_of(row["input_id"], permanent=outcome.permanent)
            given_up = outcome.permanent and attempts >= max_attempts and past.answered
            (tally.quarantined if given_up else tally.failed).add(index)
            if attempts:
                tally.attempts[row["input_id"]] = attempts
            word = schemas.QUARANTINED if given_up else "failed"
            tally.add_rejects(index, _reject(stage, row, Rejected("error", outcome.error), "input", word))
    return tally


def _carry_over(tally: ShardResult, index: int, row: Row, stored: QuarantinedRow, past: History) -> None:
    """Add a quarantined row as it is stored; the engine is not asked."""
    tally.quarantined.add(index)
    tally.attempts[row["input_id"]] = past.attempts_of(row["input_id"], permanent=False)
    tally.add_rows(index, stored.rows)
    tally.add_rejects(index, *stored.rejects)


def _reject_failing_rows(
    stage: Stage, inputs: Sequence[Row], tally: ShardResult, rows: pa.Table, failing: Mapping[int, str]
) -> list[int]:
    """Reject the output rows that failed the table's suite (expectation by row index); return the others' indices."""
    for index, expectation in failing.items():
        rejected, origin = Rejected(expectation, _SUITE, rows.slice(index, 1).to_pylist()[0]), tally.origins[index]
        tally.add_rejects(origin, _reject(stage, inputs[origin], rejected, "output"))
    return [index for index in range(rows.num_rows) if index not in failing]


def _reject_inputs_without_output(
    stage: Stage, inputs: Sequence[Row], tally: ShardResult, with_output: set[int]
) -> None:
    """Count inputs without any accepted output as rejected, so that no row disappears between two tables."""
    settled = with_output | tally.settled
    for index, row in enumerate(inputs):
        if index not in settled:
            tally.rejected.add(index)
            tally.add_rejects(index, _reject(stage, row, Rejected("nothing_left", "no output was accepted"), "input"))


def _reject(stage: Stage, row: Row, rejected: Rejected, scope: str, outcome: str = "rejected") -> Row:
    payload = rejected.payload  # may be what a model wrote
    text = None if payload is None else json.dumps(payload, sort_keys=True, default=str, ensure_ascii=False)
    return {
        "stage": stage.name,
        "scope": scope,
        "outcome": outcome,
        "reason": rejected.reason,
        "detail": storable(rejected.detail),
        "input_id": row.get("input_id"),
        "image_id": row.get("image_id"),
        "uri": row.get("uri"),
        "etag": row.get("etag"),
        "payload": storable(text),
    }


def _stats(started: float, loading: float, tally: ShardResult, requests: Counter[str]) -> dict[str, Any]:
    """Timestamps, tokens and requests of this shard are stored only here, so that data parts stay byte-identical."""
    return {
        "started": started,
        "seconds": round(time.time() - started, 3),
        "launch_seconds": round(loading, 3),  # of these; waiting for model servers that this process launched
        "tokens": tally.tokens,
        "rows_paid": tally.paid,
        "model_seconds": round(tally.seconds, 3),
        "requests": dict(requests),
        "pid": os.getpid(),
    }
