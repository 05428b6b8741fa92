"""Writes rows in their new order: scattered to buckets of bounded size on disk, then each bucket put in order.

A bucket is a stretch of the output. Every source is read once, from front to back, whatever its row groups are.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.lake.parquet import compression
from hopchain_etl.training.mix.order import Indexes, Plan
from hopchain_etl.training.mix.rows import Source
from hopchain_etl.training_set.reading import reading

_BATCH_BYTES, _BATCH_ROWS = 16_000_000, 2_000  # of a source in memory at a time
_BUCKET_BYTES, _BUCKET_ROWS = 48_000_000, 20_000  # of the output
_GROUP_BYTES, _GROUP_ROWS = 32_000_000, 500  # of a row group of the output, as in exports
_PLACE = "__place__"


def write_rows(
    plan: Plan, sources: Mapping[str, Source], schema: pa.Schema, target: Path, advance: Callable[[int], None]
) -> None:
    """Write the plan's rows to ``target``, which is replaced when they are complete.

    Needs as much free disk space beside ``target`` as the rows take twice.
    """
    bucket_rows = _rows_for(_BUCKET_BYTES, _BUCKET_ROWS, [file for one in sources.values() for file in one.files])
    folder = Path(tempfile.mkdtemp(prefix=".mix-", dir=target.parent))
    draft = folder / target.name
    try:
        for place, source in enumerate(sources.values()):
            _scatter(source, np.flatnonzero(plan.sources == place), plan.rows, schema, folder, bucket_rows)
        with pq.ParquetWriter(draft, schema, compression=compression(schema)) as writer:
            for number in range(-(-len(plan.rows) // bucket_rows)):
                for group in _bucket(folder / f"{number}.arrow", schema):
                    writer.write_table(group)
                    advance(len(group))
        draft.replace(target)
    finally:
        shutil.rmtree(folder)


def copy_rows(file: Path, schema: pa.Schema, target: Path) -> None:
    """Write the rows of a file in their order with the columns of ``schema``."""
    draft = target.with_name(f".{target.name}.part")
    try:
        with pq.ParquetWriter(draft, schema, compression=compression(schema)) as writer:
            for table in _batches([file], schema):
                writer.write_table(table)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _scatter(
    source: Source, positions: Indexes, rows: Indexes, schema: pa.Schema, folder: Path, bucket_rows: int
) -> None:
    """Append each row of a source that comes at one of ``positions`` of the output to the file of its bucket."""
    by_row = positions[np.argsort(rows[positions], kind="stable")]
    wanted = rows[by_row]
    first = 0
    for batch in _batches(source.files, schema):
        low, high = np.searchsorted(wanted, (first, first + len(batch)))
        places = by_row[low:high]
        first += len(batch)
        if not len(places):
            continue
        order = np.argsort(places)
        chosen = batch.take(pa.array(wanted[low:high][order] - (first - len(batch))))
        chosen = chosen.append_column(_PLACE, pa.array(places[order]))
        buckets = places[order] // bucket_rows
        cuts = np.flatnonzero(np.diff(buckets, prepend=-1))
        for start, end in zip(cuts, [*cuts[1:], len(buckets)], strict=True):
            _append(folder / f"{buckets[start]}.arrow", chosen.slice(start, end - start))


def _batches(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of files in order, in tables of bounded size with the columns of ``schema``."""
    for file in files:
        # Without buffering ahead pages are read as they are needed: files of one huge row group are common.
        with reading(file):
            parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
            for batch in parquet.iter_batches(_rows_for(_BATCH_BYTES, _BATCH_ROWS, [file])):
                yield _cast(pa.Table.from_batches([batch]), schema)


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        if field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            columns.append(_nothing(field.type, len(table)))
    return pa.table(columns, schema=schema)


def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    """Return what stands in a column that a file lacks: null, or an empty list, as trainers ask how many images there
    are without asking whether there are any."""
    nothing: Any = [] if pa.types.is_list(kind) or pa.types.is_large_list(kind) else None
    return pa.array([nothing] * count, kind)


def _append(path: Path, rows: pa.Table) -> None:
    with path.open("ab") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows)


def _bucket(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a bucket in their order, as row groups of bounded size; delete its file."""
    parts = []
    with path.open("rb") as file:
        size = path.stat().st_size
        while file.tell() < size:
            parts.append(pa.ipc.open_stream(file).read_all())
    path.unlink()
    table = pa.concat_tables(parts)
    del parts
    order = pc.sort_indices(table[_PLACE])
    rows = max(1, min(_GROUP_ROWS, len(table) * _GROUP_BYTES // max(1, table.nbytes)))
    table = table.drop_columns(_PLACE)
    for start in range(0, len(table), rows):
        yield table.take(order.slice(start, rows)).cast(schema).replace_schema_metadata(schema.metadata)


def _rows_for(most_bytes: int, most_rows: int, files: list[Path]) -> int:
    """Return how many rows have ``most_bytes`` where they are heaviest, but at most ``most_rows``.

    An average over files of text and files of images would let a bucket of images alone be many times too large.
    """
    heaviest = 1.0
    for file in files:
        footer: Any = pq.read_metadata(file)
        for group in map(footer.row_group, range(footer.num_row_groups)):
            heaviest = max(heaviest, group.total_byte_size / max(1, group.num_rows))
    return max(1, min(most_rows, int(most_bytes / heaviest)))
