"""Reads tables of answers row by row: TSV, CSV, JSON records, JSON lines and Excel."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.logs import lines
from hopchain_etl.evaluation.harnesses.xlsx import LONGEST_CELL, xlsx_rows
from hopchain_etl.labels.json_stream import json_items

LONGEST_FIELD = 64_000_000  # characters
Row = tuple[str, dict[str, Any]]


def rows(path: Path) -> Iterator[Row]:
    """Yield each row with its place, file and line or record; values are text, in JSON of any type, null if empty.

    Raises EvaluationError with the place for a damaged file, and for one of another kind.
    """
    if not path.is_file():
        raise EvaluationError(f"there is no file {path}")
    readers = {".tsv": _separated, ".csv": _separated, ".json": _records, ".jsonl": lines, ".xlsx": _excel}
    suffix = path.suffix.lower()
    if suffix not in readers:
        hint = "; a pickle runs code when it is read, so set PRED_FORMAT=json" if suffix == ".pkl" else ""
        raise EvaluationError(f"{path} is none of {', '.join(readers)}{hint}")
    yield from readers[suffix](path)


def _separated(path: Path) -> Iterator[Row]:
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            names: list[str] | None = None
            line = 1
            try:
                for cells in reader:
                    place, line = f"{path}:{line}", reader.line_num + 1
                    if names is None:
                        names = cells
                    elif cells:
                        yield place, _named(names, cells, place)
            except (csv.Error, UnicodeDecodeError) as error:
                raise EvaluationError(f"{path}:{line}: {error}; was the file cut off?") from error
    finally:
        csv.field_size_limit(before)


def _records(path: Path) -> Iterator[Row]:
    number = 0
    with path.open("rb") as file:
        try:
            for number, (key, record) in enumerate(json_items(file), 1):
                if key or not isinstance(record, dict):
                    raise EvaluationError(f"{path}: record {number} is no object; one array of objects is due")
                yield f"{path}: record {number}", record
        except EvaluationError:
            raise
        except (ValueError, RecursionError) as error:
            raise EvaluationError(f"{path}: not JSON after record {number} ({error}); was the file cut off?") from error


def _excel(path: Path) -> Iterator[Row]:
    names: list[str] | None = None
    number = 0
    try:
        for number, cells in xlsx_rows(path):
            if names is None:
                names = [one or "" for one in cells]
                continue
            if not any(cells):  # Excel keeps the rows that somebody emptied
                continue
            place = f"{path}: row {number}"
            for name, cell in zip(names, cells, strict=False):
                if cell is not None and len(cell) >= LONGEST_CELL and name in ("prediction", "thinking"):
                    raise EvaluationError(
                        f"{place}: {name} has {LONGEST_CELL} characters, where Excel cuts; set PRED_FORMAT=json "
                        "for VLMEvalKit and run it again, what was answered is lost"
                    )
            yield place, _named(names, cells + [None] * (len(names) - len(cells)), place)
    except EvaluationError:
        raise
    except ValueError as error:
        raise EvaluationError(f"{path}: row {number + 1}: {error}") from error


def _named(names: list[str], cells: list[Any], place: str) -> dict[str, Any]:
    if len(cells) != len(names):
        raise EvaluationError(f"{place}: {len(cells)} fields where the header has {len(names)}; was the file cut off?")
    return {name: cell if cell != "" else None for name, cell in zip(names, cells, strict=True)}
