"""Difficulty and band anew: how often the model that is to be trained is right, instead of the models of the release.

The files of an export are written again, to another folder, with what a run of ``hopchain evaluate run`` says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.evaluation.answers import EvaluationRun
from hopchain_etl.evaluation.harnesses.logs import lines
from hopchain_etl.hops.calibration import AttemptScore, Band, Thresholds, band
from hopchain_etl.lake.parquet import compression
from hopchain_etl.training.parquet_schemas import schema_of
from hopchain_etl.training_set.reading import reading

RESTAMP_FILE = "restamp.json"
_BATCH_BYTES, _BATCH_ROWS = 32_000_000, 500
_ZERO_VARIANCE = (Band.ALL_WRONG, Band.ALL_RIGHT)
_THRESHOLDS = Thresholds()
_TOLD = 5  # questions that are named
_STAMPED = {"difficulty": pa.float32(), "band": pa.string()}

Key = tuple[str, str]  # query_id and variant
Stamps = Mapping[Key, tuple[float, str]]  # difficulty and band


class RestampError(ValueError):
    """Files cannot be stamped; the message names the file or run and the remedy."""


@dataclass
class RestampResult:
    """What became of the rows: ``rows`` + ``dropped`` = ``read``."""

    model: str
    read: int = 0
    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # by band: groups without variance
    bands: Counter[str] = field(default_factory=Counter)  # of the rows written
    moved: int = 0  # rows whose band is another one than before
    unanswered: int = 0  # of a release, but not in the run: they are kept, without difficulty and band
    unanswered_first: list[str] = field(default_factory=list)
    others: int = 0  # rows of other data: kept as they are
    files: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        return {**vars(self), "dropped": dict(sorted(self.dropped.items())), "bands": dict(sorted(self.bands.items()))}


def stamps_of(run: EvaluationRun, thresholds: Thresholds) -> dict[Key, tuple[float, str]]:
    """Return difficulty and band of each question that the run asked with its photo.

    Raises RestampError if no question was asked more than once: bands need several tries.
    """
    seen = run.answers.filter(pc.and_(run.answers["sees_image"], pc.starts_with(run.answers["benchmark"], "hopchain/")))
    groups = seen.group_by(["item_id", "variant"]).aggregate([("score", "sum"), ("score", "count")]).to_pylist()
    if not groups:
        raise RestampError(f"the run {run.header.name} has no answer to a question of a release with its photo")
    if max(group["score_count"] for group in groups) < 2:
        raise RestampError(f"the run {run.header.name} has one try a question; ask again with --samples 8")
    stamps = {}
    for group in groups:
        score = AttemptScore(round(group["score_sum"]), group["score_count"])
        stamps[group["item_id"], group["variant"]] = (group["score_sum"] / score.samples, str(band(score, thresholds)))
    return stamps


def restamp(
    files: Sequence[Path],
    run: EvaluationRun,
    out: Path,
    *,
    keep_zero_variance: bool = False,
    thresholds: Thresholds = _THRESHOLDS,
) -> RestampResult:
    """Write files of the same names, and ``restamp.json``, to the folder ``out``; return what became of the rows.

    Questions that the model gets always or never right have no gradient in group-relative training, and are dropped
    unless ``keep_zero_variance``. Raises RestampError for files without difficulty and band, and where a file would be
    overwritten.
    """
    stamps = stamps_of(run, thresholds)
    for file in files:
        if not file.is_file():
            raise RestampError(f"{file} is no file; give the files of an export or a mix")
        if (out / file.name).exists() or len({one.name for one in files}) < len(files):
            raise RestampError(f"{out / file.name} is there, or would be written twice; choose an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    done = RestampResult(run.header.model)
    for file in files:
        _Stamped(stamps, keep_zero_variance, done).write(file, out / file.name)
        done.files.append(file.name)
    (out / RESTAMP_FILE).write_text(json.dumps(done.to_json(), indent=1) + "\n")
    return done


class _Stamped:
    """Rows of one file with their new stamps."""

    def __init__(self, stamps: Stamps, keep: bool, done: RestampResult) -> None:
        self.stamps, self.keep, self.done = stamps, keep, done

    def write(self, file: Path, target: Path) -> None:
        draft = target.with_name(f".{target.name}.part")
        try:
            self._lines(file, draft) if file.suffix == ".jsonl" else self._parquet(file, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def _lines(self, file: Path, draft: Path) -> None:
        with draft.open("w", encoding="utf-8") as out:
            for _, row in lines(file):
                if (facts := self._facts(row)) is not None:
                    out.write(json.dumps({**row, **facts}, ensure_ascii=False) + "\n")

    def _parquet(self, file: Path, draft: Path) -> None:
        schema = _typed(schema_of(file))
        place = "extra_info" if "band" not in schema.names and "extra_info" in schema.names else None
        names = {one.name for one in schema.field(place).type} if place else set(schema.names)
        if missing := {"query_id", *_STAMPED} - names:
            raise RestampError(f"{file} has no column {min(missing)}: it is no export or mix of one")
        with pq.ParquetWriter(draft, schema, compression=compression(schema)) as writer:
            for batch in _batches(file):
                writer.write_table(self._table(batch, place, schema))

    def _table(self, table: pa.Table, place: str | None, schema: pa.Schema) -> pa.Table:
        inside = table[place].to_pylist() if place else table.select(
            [name for name in ("query_id", "variant", "difficulty", "band") if name in table.column_names]
        ).to_pylist()  # fmt: skip
        stamped = [self._facts(row or {}) for row in inside]
        kept = [number for number, facts in enumerate(stamped) if facts is not None]
        columns = {}
        if place:
            rows = [
                None if inside[number] is None else {**inside[number], **(stamped[number] or {})} for number in kept
            ]
            columns[place] = rows
        else:
            columns = {name: [{**inside[number], **(stamped[number] or {})}[name] for number in kept]
                       for name in _STAMPED}  # fmt: skip
        table = table.take(kept) if kept else table.slice(0, 0)
        for name, values in columns.items():
            field_ = schema.field(name)
            table = table.set_column(table.schema.get_field_index(name), field_, pa.array(values, field_.type))
        return table.replace_schema_metadata(schema.metadata)

    def _facts(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return difficulty and band of a row, nothing for a row of other data, None if the row is dropped."""
        done = self.done
        done.read += 1
        query = row.get("query_id")
        if query is None:
            done.others += 1
            done.rows += 1
            return {}
        stamp = self.stamps.get((str(query), str(row.get("variant") or "full")))
        if stamp is None:
            done.unanswered += 1
            done.unanswered_first += [str(query)] if len(done.unanswered_first) < _TOLD else []
            done.rows += 1
            return {"difficulty": None, "band": None}
        if stamp[1] in _ZERO_VARIANCE and not self.keep:
            done.dropped[stamp[1]] += 1
            return None
        done.rows += 1
        done.bands[stamp[1]] += 1
        done.moved += row.get("band") != stamp[1]
        return {"difficulty": stamp[0], "band": stamp[1]}


def _typed(schema: pa.Schema) -> pa.Schema:
    """Return the schema in which stamps have a type: other tools write a column without any value as one of nulls."""
    fields = [
        field.with_type(pa.struct(_stamped(field.type)))
        if field.name == "extra_info" and pa.types.is_struct(field.type)
        else field
        for field in _stamped(schema)
    ]
    return pa.schema(fields, schema.metadata)


def _stamped(fields: Iterable[pa.Field]) -> list[pa.Field]:
    return [one.with_type(_STAMPED.get(one.name, one.type)) if pa.types.is_null(one.type) else one for one in fields]


def _batches(file: Path) -> Iterator[pa.Table]:
    """Yield a file's rows in tables of bounded size: rows have their images with them."""
    footer: Any = pq.read_metadata(file)
    total = sum(int(footer.row_group(number).total_byte_size) for number in range(footer.num_row_groups))
    rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * int(footer.num_rows) // max(1, total)))
    with reading(file):
        for batch in pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20).iter_batches(rows):
            yield pa.Table.from_batches([batch])
