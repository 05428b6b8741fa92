"""Faults that a check must name: planted in copies of an export, each in a row of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
LONG = "Look closely. " * 400


def parquet(export: Path, folder: Path, *changes: Callable[[Row], None]) -> Path:
    """Write the export's train file to ``folder`` with a change to each of its first rows."""
    table = pq.read_table(export / "train.parquet")
    rows = table.to_pylist()
    for row, change in zip(rows, changes, strict=False):
        change(row)
    folder.mkdir()
    (folder / "export.json").write_text((export / "export.json").read_text())
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / "train.parquet")
    return folder / "train.parquet"


def mixed_schema(export: Path, folder: Path) -> Path:
    """Write the export's train file with one column of another type, or inside ``extra_info``."""
    table = pq.read_table(export / "train.parquet")
    if "extra_info" in table.column_names:
        rows = table["extra_info"].to_pylist()
        kind = pa.struct(
            [pa.field("prompt_tokens", pa.string()) if one.name == "prompt_tokens" else one
             for one in table.schema.field("extra_info").type]
        )  # fmt: skip
        column = pa.array([{**row, "prompt_tokens": str(row["prompt_tokens"])} for row in rows], kind)
        table = table.set_column(table.column_names.index("extra_info"), "extra_info", column)
    else:
        column = table["prompt_tokens"].cast(pa.string())
        table = table.set_column(table.column_names.index("prompt_tokens"), "prompt_tokens", column)
    pq.write_table(table.replace_schema_metadata(None), folder / "other.parquet")
    return folder / "other.parquet"


def lines(export: Path, folder: Path, *changes: Callable[[Row], None]) -> Path:
    """Write the export's train file of JSON lines as ``parquet`` does; images stay where they are."""
    rows = [json.loads(line) for line in (export / "train.jsonl").read_text().splitlines()]
    for row, change in zip(rows, changes, strict=False):
        change(row)
    folder.mkdir()
    (folder / "export.json").write_text((export / "export.json").read_text())
    (folder / "images").symlink_to(export / "images")
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "train.jsonl"


def named(report: Row, file: Path) -> set[tuple[str, int | None]]:
    """Return which checks name which rows of a file; every finding has a remedy."""
    assert all(one["remedy"] and one["problem"] for one in report["findings"])
    return {(one["check"], one["row"]) for one in report["findings"] if one["file"] == str(file)}


def problems(report: Row, row: int | None, check: str) -> str:
    """Return what is said of a row."""
    return "\n".join(one["problem"] for one in report["findings"] if (one["row"], one["check"]) == (row, check))
