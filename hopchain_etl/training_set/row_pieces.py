"""Reads rows to verify in small pieces, so that the rows of one photo come together.

A file is read window by window. In a window the rows are in the order of their photos, because what is computed of a
photo then serves all of its rows; each piece says which places its rows had.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.concurrency import batched
from hopchain_etl.training_set.reading import reading

T = TypeVar("T", bound=Sized)
Row = dict[str, Any]

PIECE = 250  # rows
_WINDOW = 2_000  # rows; a shard of a release has some 1,600
_WINDOW_BYTES = 32_000_000  # a window is closed once it has so many
_UNUSED = frozenset({"prompt", "stages", "annotators", "agreement", "difficulty", "band", "blind", "lineage", "source",
                     "license", "source_uri", "image_tokens", "author"})  # fmt: skip


_OF_INSTANCES = ("image_id", "instance_id", "box", "mask")


class Piece(NamedTuple):
    """Some rows of a file, in the order of their photos. ``places`` are their numbers in their window."""

    file: str
    rows: list[Row] | pa.Table
    places: Sequence[int]
    ends_window: bool  # all rows of the window have come now

    def to_rows(self) -> Iterator[Row]:
        """Yield the rows; those of one photo that have the same instances share one list of them."""
        if isinstance(self.rows, list) or "instances" not in self.rows.column_names:
            yield from self.rows if isinstance(self.rows, list) else self.rows.to_pylist()
            return
        held, last, instances = self.rows["instances"], None, None
        for one, row in zip(held, self.rows.drop_columns(["instances"]).to_pylist(), strict=True):
            if last is None or not one.equals(last):
                last, instances = one, one.as_py()
            yield {**row, "instances": instances}


def folder_pieces(folder: Path) -> Iterator[Piece]:
    """Yield the rows of one target; raise FileNotFoundError if they have not been downloaded."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"no rows in {folder}; run `dvc pull`")
    for path in files:
        yield from _parquet_pieces(path, None)


def file_pieces(path: Path, instances: dict[str, list[Row]] | None) -> Iterator[Piece]:
    """Yield the rows of a file, with ``instances`` by image if it has none; raise ValueError for another file type."""
    if path.suffix in (".jsonl", ".ndjson"):
        return _json_pieces(path, instances)
    if path.suffix == ".parquet":
        return _parquet_pieces(path, instances)
    raise ValueError(f"{path} is neither Parquet nor JSON lines (.parquet, .jsonl); give a file of rows or a folder")


def _parquet_pieces(path: Path, instances: dict[str, list[Row]] | None) -> Iterator[Piece]:
    with reading(path):
        file = pq.ParquetFile(path)
    names = set(file.schema_arrow.names)
    _refuse_export(path, names)
    needed = {"query_id", "image_id", "expr", "hops"} | (set() if instances is not None else {"instances"})
    if missing := sorted(needed - names):
        hint = "; give the instances table with --instances" if missing == ["instances"] else ""
        raise ValueError(f"{path} is not a file of training rows or queries: {missing[0]} is missing{hint}")
    columns = [name for name in file.schema_arrow.names if name not in _UNUSED]
    for window in _windows(_batches(path, file, columns), lambda batch: batch.nbytes):
        rows = pa.Table.from_batches(window).combine_chunks()
        if instances is None:
            yield from _pieces(path.name, rows["image_id"].to_pylist(), partial(_taken, rows))
        else:
            yield from _pieces_of_list(path.name, [_with(row, instances) for row in rows.to_pylist()])


def _refuse_export(path: Path, names: Collection[str]) -> None:
    if "data_source" in names and "expr" not in names:  # every format of an export has this column, and no row of a set
        raise ValueError(
            f"{path} is an export for a trainer, which has no programs that could be executed; verify the training set "
            "that it was made from, and check the export itself with `hopchain train preflight`"
        )


def _batches(path: Path, file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with reading(path):
        yield from file.iter_batches(PIECE, columns=columns)


def _taken(rows: pa.Table, places: list[int]) -> pa.Table:
    """Return the rows at some places; ``pa.array`` would load pandas, which takes half a second and 40 MB."""
    return rows.take(pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(array("q", places))]))


def _json_pieces(path: Path, instances: dict[str, list[Row]] | None) -> Iterator[Piece]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        if first := next((line for line in lines if line.strip()), ""):
            _refuse_export(path, _json_row(first, 1))
        lines.seek(0)
        written = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        for window in _windows(batched(written, PIECE), lambda batch: sum(len(line) for _, line in batch)):
            rows = [_json_row(line, number) for batch in window for number, line in batch]
            if instances is not None:
                rows = [row if "_error" in row else _with(row, instances) for row in rows]
            yield from _pieces_of_list(path.name, rows)


def _json_row(line: str, number: int) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        row = str(error)
    if isinstance(row, dict):
        return row
    return {"query_id": f"line {number}", "_error": f"line {number} is not a JSON object: {str(row)[:80]}"}


def _with(row: Row, instances: dict[str, list[Row]]) -> Row:
    return {**row, "instances": instances.get(str(row.get("image_id")), [])}


def by_image(path: Path | None) -> dict[str, list[Row]] | None:
    """Return the rows of an instances table by image; None if none is given."""
    if path is None:
        return None
    found: dict[str, list[Row]] = defaultdict(list)
    for part in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:
        with reading(part):
            table = pq.read_table(part)
        if missing := [name for name in _OF_INSTANCES if name not in table.column_names]:
            raise ValueError(f"{part} is no instances table: {missing[0]} is missing")
        for row in table.to_pylist():
            found[str(row["image_id"])].append(row)
    if not found:
        raise FileNotFoundError(f"no instances in {path}")
    return dict(found)


def _windows(batches: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield batches of rows in windows; ``size`` returns the bytes of a batch."""
    window: list[T] = []
    for batch in batches:
        window.append(batch)
        if sum(map(len, window)) >= _WINDOW or sum(map(size, window)) >= _WINDOW_BYTES:
            yield window
            window = []
    if window:
        yield window


def _pieces_of_list(file: str, rows: list[Row]) -> Iterator[Piece]:
    yield from _pieces(file, [row.get("image_id") for row in rows], lambda places: [rows[place] for place in places])


def _pieces(file: str, images: list[Any], take: Callable[[list[int]], list[Row] | pa.Table]) -> Iterator[Piece]:
    """Yield the rows of a window in pieces; ``take`` returns the rows at some places."""
    order = sorted(range(len(images)), key=lambda place: str(images[place]))
    for at in range(0, len(order), PIECE):
        places = order[at : at + PIECE]
        yield Piece(file, take(places), places, at + PIECE >= len(order))
