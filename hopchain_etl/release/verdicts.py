"""Verdicts: what a selection says of the queries of one shard, as a table.

Each query has an outcome: ``released``, or the reason why it is dropped. Only released ones have values in the other
columns: those of their rows in the training set that no table of the lake has, and what the diversity limits need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.hops.diversity import QueryProfile

RELEASED = "released"


@dataclass(frozen=True)
class Chosen:
    """The columns of a released row that are not in the lake's tables."""

    split: str
    answer: str
    policy: str
    human_answers: tuple[str | None, ...]
    annotators: tuple[str, ...]  # pseudonyms
    agreement: float | None
    program_agrees: bool
    difficulty: float | None
    band: str | None
    blind: float | None
    variants: tuple[str, ...]  # variants whose answers are confirmed


_OF_ROWS = {name: schemas.TRAINING_ROWS.field(name).type for name in Chosen.__dataclass_fields__ if name != "variants"}
_VALUES = {**_OF_ROWS, "variants": pa.list_(pa.string())}
_PROFILE = {
    "query_id": pa.string(),
    "image_id": pa.string(),
    "template": pa.string(),
    "capabilities": pa.string(),
    "n_hops": pa.int32(),
    "hop_signatures": pa.list_(pa.uint64()),
}
VERDICTS = pa.schema({"outcome": pa.string(), **_VALUES, **_PROFILE})
CHOSEN = pa.schema({"position": pa.int64(), **_VALUES})  # ``position`` is that of the query in its shard


def to_table(verdicts: Sequence[Chosen | str], profiles: Mapping[int, QueryProfile]) -> pa.Table:
    """Return verdicts (released values, or a reason) as a table; ``profiles`` are those of the released, by place."""
    columns = {name: [getattr(one, name) if isinstance(one, Chosen) else None for one in verdicts] for name in _VALUES}
    held = [profiles.get(place) for place in range(len(verdicts))]
    columns |= {name: [getattr(one, name) if one else None for one in held] for name in _PROFILE}
    columns["hop_signatures"] = [sorted(one.hop_signatures) if one else None for one in held]
    columns["outcome"] = [RELEASED if isinstance(one, Chosen) else one for one in verdicts]
    return pa.table(columns, schema=VERDICTS)


def chosen(verdicts: pa.Table) -> pa.Table:
    """Return the values of the released queries (CHOSEN)."""
    places = pa.array(range(verdicts.num_rows), pa.int64())
    is_released = pc.equal(verdicts["outcome"], RELEASED)
    return verdicts.add_column(0, "position", places).filter(is_released).select(CHOSEN.names)


def profiles(verdicts: pa.Table) -> list[QueryProfile]:
    """Return the profiles of the released queries, in their order."""
    rows = verdicts.filter(pc.equal(verdicts["outcome"], RELEASED)).select([*_PROFILE, "answer"]).to_pylist()
    return [QueryProfile(**{**row, "hop_signatures": frozenset(row["hop_signatures"])}) for row in rows]


def to_bytes(verdicts: pa.Table) -> bytes:
    """Return verdicts as bytes (Arrow IPC)."""
    sink = pa.BufferOutputStream()
    lz4 = pa.ipc.IpcWriteOptions(compression="lz4")  # read ten times as fast as zstd, and hardly larger
    with pa.ipc.new_stream(sink, VERDICTS, options=lz4) as writer:
        writer.write_table(verdicts)
    return bytes(sink.getvalue())


def from_bytes(data: pa.Buffer | bytes) -> pa.Table:
    """Return the verdicts that were written as bytes."""
    with pa.ipc.open_stream(data, options=pa.ipc.IpcReadOptions(use_threads=False)) as reader:  # too small for threads
        return reader.read_all()
