"""Writes Parquet files: the same rows give the same bytes."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_PHOTO = "bytes"  # the field of an encoded photo, in our parts as in images of Hugging Face ``datasets``


def parquet_bytes(rows: pa.Table, row_group: int | None = None) -> bytes:
    """Return ``rows`` as a Parquet file; see ``write_parquet``."""
    sink = pa.BufferOutputStream()  # not a Python file, because each write to it would wait for the GIL
    write_parquet(rows, sink, row_group)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def write_parquet(rows: pa.Table, where: Path | pa.NativeFile, row_group: int | None = None) -> None:
    """Write ``rows`` as a Parquet file.

    ``row_group`` is how many rows must be read to get one of them; None puts all rows into one group.
    """
    how = compression(rows.schema)
    pq.write_table(rows, where, compression=how, version="2.6", store_schema=True, row_group_size=row_group)


@lru_cache(maxsize=64)
def compression(schema: pa.Schema) -> str | dict[str, str]:
    """Return the compression of ``pyarrow.parquet.ParquetWriter`` for rows of ``schema``.

    It is zstd, but none for encoded photos, which would only take time and do not get smaller. A photo that is in
    several rows of a row group is still stored once, since Parquet makes a dictionary of equal values.
    """
    sink = io.BytesIO()
    pq.write_table(schema.empty_table(), sink)
    written = pq.ParquetFile(sink).schema  # it names the columns inside lists and structs as the writer does
    columns = [written.column(number) for number in range(len(written))]
    others = [one.path for one in columns if not _is_photo(one)]
    return "zstd" if len(others) == len(columns) else dict.fromkeys(others, "zstd")


def _is_photo(column: Any) -> bool:
    return (column.name, column.physical_type, column.logical_type.type) == (_PHOTO, "BYTE_ARRAY", "NONE")
