"""The loop that every stage shares: read a shard, process its rows, validate, write, account, mark.

Every input row has exactly one outcome: ok (it gave output rows), rejected (with a reason) or failed (an error; retried
by the next plan). The marker checks that the three add up.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.quality.validator import Validator

log = logging.getLogger(__name__)

Row = dict[str, Any]
_PACK = 256  # maximum number of rows held as Python objects


class StoppedError(Exception):
    """A graceful stop was requested; stored answers are kept and the shard is not marked complete."""


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

    Results of the successful part are kept.
    """

    error: str
    rows: Sequence[Row] = ()
    rejected_candidates: Sequence[Rejected] = ()


@dataclass(frozen=True)
class Accepted(Cost):
    """An accepted row: its output rows, and the candidates that were rejected."""

    rows: Sequence[Row]
    rejected_candidates: Sequence[Rejected] = ()


Outcome = Accepted | Rejected | Failed


class Stage(Protocol):
    """One pipeline stage that writes one table. ``process`` yields one outcome for each input row, in order."""

    name: str
    table: str

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        """Return the tables, with fingerprints, that are the inputs of the shard; they must be complete."""
        ...

    def read(self, lake: Lake, shard: Shard) -> Sequence[Row]:
        """Return the shard's input rows; each has ``input_id`` and ``image_id`` (or a uri, before ingest)."""
        ...

    def process(self, lake: Lake, rows: Sequence[Row]) -> Iterator[Outcome]: ...


class Progress(Protocol):
    """Receives progress of each row; used for the terminal's progress bar."""

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome) -> None: ...


class NoProgress:
    """A progress reporter that does nothing."""

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome) -> None: ...


class _RowBuffer:
    """Buffer that converts rows to Arrow in chunks, which needs a fraction of the memory."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._packed: list[pa.Table] = [schema.empty_table()]
        self._loose: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows; raises pyarrow.ArrowException (at the latest in ``table``) if one does not match the schema."""
        self._loose += rows
        if len(self._loose) >= _PACK:
            self._pack()

    def table(self) -> pa.Table:
        """Return all rows, in insertion order."""
        self._pack()
        return pa.concat_tables(self._packed).combine_chunks()

    def _pack(self) -> None:
        self._packed.append(pa.Table.from_pylist(self._loose, schema=self._schema))
        self._loose = []


@dataclass
class _ShardResult:
    """Intermediate results and counts of a shard."""

    rows: _RowBuffer
    origins: list[int] = field(default_factory=list)  # index of the input row of each output row
    rejects: _RowBuffer = field(default_factory=lambda: _RowBuffer(schemas.REJECTS))
    reasons: Counter[str] = field(default_factory=Counter)
    failed: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    tokens: int = 0
    paid: int = 0  # rows with new model calls, not answered from the cache
    seconds: float = 0.0  # of model time

    def add_rejects(self, *rejects: Row) -> None:
        """Add reject rows and count their reasons."""
        self.reasons.update(row["reason"] for row in rejects)
        self.rejects.add(rejects)


def run_shard(
    stage: Stage,
    lake: Lake,
    fingerprint: str | None,
    shard: Shard,
    *,
    validate: Validator,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Marker:
    """Run one stage over one shard and return its marker; a complete shard is skipped.

    Raises StoppedError if ``stop`` was set, and QualityError if too many rows failed the table's suite: then the
    validation result is in the lake, and the shard is not marked.
    """
    folder = lake.folder(stage.table, fingerprint, shard)
    digest = lake.inputs_digest(stage.sources, shard)
    done = lake.marker(stage.table, fingerprint, shard)
    if done and not done.failed and done.inputs == digest:
        log.info("%s %s is complete already", stage.name, shard)
        lake.manifest(stage.table, fingerprint).record(
            shard, done
        )  # an earlier attempt may have been killed before this
        return done
    started = time.time()
    progress = progress or NoProgress()
    inputs = stage.read(lake, shard)
    progress.start(stage.name, shard, len(inputs))
    tally = _collect(stage, lake, inputs, progress, stop or threading.Event())

    rows = tally.rows.table()
    verdict = validate(stage.table, rows)
    lake.put_json(folder + "validation.json", verdict.summary)
    verdict.raise_if_over_threshold(f"{stage.table} {shard}")
    kept = _reject_failing_rows(stage, inputs, tally, rows, verdict.failing)
    _reject_inputs_without_output(stage, inputs, tally, {tally.origins[index] for index in kept})

    marker = Marker(
        parts=lake.write_parts(folder, "part", rows.take(pa.array(kept, pa.int64()))),
        rejects=lake.write_parts(folder, "rejects", tally.rejects.table()),
        read=len(inputs),
        ok=len(inputs) - len(tally.rejected) - len(tally.failed),
        rejected=len(tally.rejected),
        failed=len(tally.failed),
        inputs=digest,
        reasons=dict(tally.reasons),
    )
    lake.put_json(folder + "stats.json", _stats(started, tally, lake))
    lake.write_marker(stage.table, fingerprint, shard, marker)
    log.info(
        "%s %s: read %d, ok %d, rejected %d, failed %d, rows %d, %.1f s",
        *(stage.name, shard, marker.read, marker.ok, marker.rejected, marker.failed, len(kept), time.time() - started),
    )
    return marker


def _collect(
    stage: Stage, lake: Lake, inputs: Sequence[Row], progress: Progress, stop: threading.Event
) -> _ShardResult:
    tally = _ShardResult(_RowBuffer(schemas.TABLES[stage.table]))
    outcomes = stage.process(lake, inputs)
    for index, row in enumerate(inputs):
        if stop.is_set():
            close: Callable[[], None] = getattr(outcomes, "close", lambda: None)
            close()  # lets the cache store the answers so far
            raise StoppedError(f"{stage.name} stopped at row {index} of {len(inputs)}; run it again to continue")
        outcome = next(outcomes, None)
        assert outcome is not None, f"{stage.name} gave no outcome for row {index}"
        progress.advance(outcome)
        tally.tokens += outcome.tokens
        tally.paid += outcome.tokens > 0
        tally.seconds += outcome.seconds
        if isinstance(outcome, Rejected):
            tally.rejected.add(index)
            tally.add_rejects(_reject(stage, row, outcome, "input"))
            continue
        tally.rows.add(outcome.rows)
        tally.origins += [index] * len(outcome.rows)
        tally.add_rejects(*(_reject(stage, row, rejected, "output") for rejected in outcome.rejected_candidates))
        if isinstance(outcome, Failed):
            tally.failed.add(index)
            tally.add_rejects(_reject(stage, row, Rejected("error", outcome.error), "input", "failed"))
    return tally


def _reject_failing_rows(
    stage: Stage, inputs: Sequence[Row], tally: _ShardResult, rows: pa.Table, failing: Mapping[int, str]
) -> list[int]:
    """Reject the output rows that failed the table's suite (expectation by row index); return the others' indices."""
    for index, expectation in failing.items():
        rejected = Rejected(expectation, "failed the table's suite", rows.slice(index, 1).to_pylist()[0])
        tally.add_rejects(_reject(stage, inputs[tally.origins[index]], rejected, "output"))
    return [index for index in range(rows.num_rows) if index not in failing]


def _reject_inputs_without_output(
    stage: Stage, inputs: Sequence[Row], tally: _ShardResult, with_output: set[int]
) -> None:
    """Count inputs without any accepted output as rejected, so that no row disappears between two tables."""
    settled = with_output | tally.rejected | tally.failed
    for index, row in enumerate(inputs):
        if index not in settled:
            tally.rejected.add(index)
            tally.add_rejects(_reject(stage, row, Rejected("nothing_left", "no output was accepted"), "input"))


def _reject(stage: Stage, row: Row, rejected: Rejected, scope: str, outcome: str = "rejected") -> Row:
    payload = json.dumps(rejected.payload, sort_keys=True, default=str) if rejected.payload is not None else None
    return {
        "stage": stage.name,
        "scope": scope,
        "outcome": outcome,
        "reason": rejected.reason,
        "detail": rejected.detail,
        "input_id": row.get("input_id"),
        "image_id": row.get("image_id"),
        "uri": row.get("uri"),
        "etag": row.get("etag"),
        "payload": payload,
    }


def _stats(started: float, tally: _ShardResult, lake: Lake) -> dict[str, Any]:
    """Timestamps and token counts are stored only here, so that data parts stay byte-identical."""
    return {
        "started": started,
        "seconds": round(time.time() - started, 3),
        "tokens": tally.tokens,
        "rows_paid": tally.paid,
        "model_seconds": round(tally.seconds, 3),
        "requests": dict(lake.store.calls),
        "pid": os.getpid(),
    }
