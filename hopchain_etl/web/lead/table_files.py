"""Tables as CSV and JSON lines that are sent while they are made; no cell of a CSV becomes a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi.responses import StreamingResponse

from hopchain_etl.annotation.csv_cells import CSV_ENCODING, safe_cell
from hopchain_etl.concurrency import batched

_AT_ONCE = 500  # rows that are sent together
_MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


def table_file(name: str, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> StreamingResponse:
    """Return the rows as a file of this name, which ends with .csv or .jsonl; ``rows`` are read while it is sent."""
    form = name.rpartition(".")[2]
    texts = csv_texts(columns, rows) if form == "csv" else json_texts(columns, rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(texts, media_type=_MEDIA[form], headers=headers)


def csv_texts(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield a CSV in pieces of whole lines."""
    yield _csv_lines([columns]).encode(CSV_ENCODING)
    for some in batched(rows, _AT_ONCE):
        yield _csv_lines([safe_cell(row.get(name)) for name in columns] for row in some).encode()


def json_texts(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield JSON lines in pieces of whole lines."""
    for some in batched(rows, _AT_ONCE):
        yield "".join(json.dumps({name: row.get(name) for name in columns}) + "\n" for row in some).encode()


def _csv_lines(lines: Iterable[Sequence[Any]]) -> str:
    sink = io.StringIO()
    csv.writer(sink).writerows(lines)
    return sink.getvalue()
