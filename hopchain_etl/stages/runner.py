"""The loop that every stage shares: read a shard, process its rows, validate, write, account, mark.

Every input row ends somewhere: in output rows (ok), refused for a reason (rejected), or hit by an error (failed, and
tried again by the next plan). The marker checks that the three add up.
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
_PACK = 256  # rows of Python that are held at once


class StoppedError(Exception):
    """A graceful stop was asked for; what had been answered is kept and the shard is not marked."""


@dataclass(frozen=True)
class Cost:
    """What looking at a row cost: model tokens, and seconds of model time."""

    tokens: int = field(default=0, kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True)
class Rejected(Cost):
    """A row that was looked at and refused. ``payload`` is what was refused, kept for people to look at."""

    reason: str
    detail: str = ""
    payload: Any = None


@dataclass(frozen=True)
class Failed(Cost):
    """A row that an error kept from being looked at, in whole or in part; the next plan tries it again.

    What was made of the rest of it is kept meanwhile.
    """

    error: str
    rows: Sequence[Row] = ()
    rejected_candidates: Sequence[Rejected] = ()


@dataclass(frozen=True)
class Accepted(Cost):
    """What a row became: output rows, and the candidates that were refused on the way."""

    rows: Sequence[Row]
    rejected_candidates: Sequence[Rejected] = ()


Outcome = Accepted | Rejected | Failed


class Stage(Protocol):
    """One verb over one table. ``process`` yields one outcome for each input row, in order."""

    name: str
    table: str

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        """Return the tables, with fingerprints, that the shard is made from; they must be complete."""
        ...

    def read(self, lake: Lake, shard: Shard) -> Sequence[Row]:
        """Return the shard's input rows; each has ``input_id`` and ``image_id`` (or a uri, before ingest)."""
        ...

    def process(self, lake: Lake, rows: Sequence[Row]) -> Iterator[Outcome]: ...


class Progress(Protocol):
    """Told of each row; a terminal draws a bar from it, everything else logs."""

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome) -> None: ...


class NoProgress:
    """Progress for callers that want none."""

    def start(self, stage: str, shard: Shard, rows: int) -> None: ...

    def advance(self, outcome: Outcome) -> None: ...


class _RowBuffer:
    """Rows on their way to a table, packed as they come: as Arrow they take a fraction of the memory."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._packed: list[pa.Table] = [schema.empty_table()]
        self._loose: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Take more rows; raise pyarrow.ArrowException, at the latest in ``table``, where one does not fit."""
        self._loose += rows
        if len(self._loose) >= _PACK:
            self._pack()

    def table(self) -> pa.Table:
        """Return all rows, in the order in which they came."""
        self._pack()
        return pa.concat_tables(self._packed).combine_chunks()

    def _pack(self) -> None:
        self._packed.append(pa.Table.from_pylist(self._loose, schema=self._schema))
        self._loose = []


@dataclass
class _ShardResult:
    """What a shard's rows became so far."""

    rows: _RowBuffer
    origins: list[int] = field(default_factory=list)  # the input behind each output row
    rejects: _RowBuffer = field(default_factory=lambda: _RowBuffer(schemas.REJECTS))
    reasons: Counter[str] = field(default_factory=Counter)
    failed: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    tokens: int = 0
    paid: int = 0  # rows that cost tokens now, rather than came from the journal
    seconds: float = 0.0  # of model time

    def add_rejects(self, *rejects: Row) -> None:
        """Take rows of rejects, and count why."""
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
    """Run one stage over one shard and return its marker; a complete shard is left alone.

    Raises StoppedError where ``stop`` was set, and QualityError where too many rows failed the table's suite: then
    the validation result is in the lake, and the shard is not marked.
    """
    folder = lake.folder(stage.table, fingerprint, shard)
    digest = lake.inputs_digest(stage.sources, shard)
    done = lake.marker(stage.table, fingerprint, shard)
    if done and not done.failed and done.inputs == digest:
        log.info("%s %s is complete already", stage.name, shard)
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
    lake.write_marker(folder, marker)
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
            close()  # lets the journal keep what has been answered
            raise StoppedError(f"{stage.name} stopped at row {index} of {len(inputs)}; run it again to go on")
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
    """Count inputs of which no output is left as rejected: nothing vanishes between two tables."""
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
    """Clocks and token counts live only here, so that data parts stay byte-identical."""
    return {
        "started": started,
        "seconds": round(time.time() - started, 3),
        "tokens": tally.tokens,
        "rows_paid": tally.paid,
        "model_seconds": round(tally.seconds, 3),
        "requests": dict(lake.store.calls),
        "pid": os.getpid(),
    }
