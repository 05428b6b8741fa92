"""Assemble: builds the rows of a training set from the lake parts listed in a snapshot. Deterministic.

Works shard by shard, so that a release may be larger than memory. A part never contains two intakes, so new intakes
leave older parts unchanged, and these are not uploaded again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.hops import variants
from hopchain_etl.imaging.vision_tokens import image_tokens
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.parquet import write_parquet
from hopchain_etl.release.inputs import Inputs, Snapshot, upstream_of
from hopchain_etl.release.outcomes import Selection
from hopchain_etl.release.row_cutting import RowCutter
from hopchain_etl.release.rules import Rules
from hopchain_etl.release.selection import Split, is_supported_size, select
from hopchain_etl.settings import ANSWER_INSTRUCTION, CalibrateSettings, DiversitySettings
from hopchain_etl.stages.who_saw import one_of_each, seen_by

REVISION = 5
_ROW_GROUP = 250  # rows that must be read to get one row

_OF_IMAGE = ("group", "source", "license", "width", "height")

Row = dict[str, Any]


@dataclass(frozen=True)
class Params:
    """The parameters in ``params.yaml`` that, with the snapshot, determine the rows."""

    validation_share: float = 0.1
    seed: int = 0
    rows_per_part: int = 5_000
    answer_instruction: str = ANSWER_INSTRUCTION
    calibrate: CalibrateSettings = field(default_factory=CalibrateSettings)
    diversity: DiversitySettings = field(default_factory=DiversitySettings)

    @property
    def split(self) -> Split:
        """How groups are assigned to splits."""
        return Split(self.validation_share, self.seed)

    @property
    def rules(self) -> Rules:
        """The rules that select queries."""
        return Rules.of(self.calibrate, self.diversity)


def read_params(path: Path) -> Params:
    """Return the parameters of a ``params.yaml``; other keys are ignored. Raises ValueError if it is damaged."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = dict(YAML(typ="safe").load(path) or {})
        if missing := [one.name for one in fields(Params) if one.name not in value]:
            raise ValueError(f"it has no {', '.join(missing)}")
        values = {one.name: value[one.name] for one in fields(Params)}
        values["calibrate"] = CalibrateSettings.model_validate(values["calibrate"])
        values["diversity"] = DiversitySettings.model_validate(values["diversity"])
    except (YAMLError, ValueError, TypeError) as error:
        raise ValueError(f"the parameters in {path} cannot be read: {error}") from error
    return Params(**values)


def assemble(snapshot: Snapshot, params: Params, lake: Lake, target: str, out: Path) -> dict[str, Any]:
    """Write ``rows/`` and ``dropped.json`` of a target below ``out`` and return the counts.

    The counts: ``read`` = ``rows`` + the sum of ``dropped``, in queries. The same snapshot and parameters give the
    same bytes. Raises LakeError if parts named in the snapshot are missing in the lake.
    """
    inputs = Inputs(snapshot, lake)
    selection = select(snapshot, params.split, inputs, target, params.rules)
    source = _Source(snapshot, inputs, selection, params.answer_instruction)
    rows = write_rows(_by_intake(source), out / "rows", params.rows_per_part)
    counts = {"read": selection.read, "rows": rows, "dropped": dict(sorted(selection.dropped.items()))}
    assert selection.read == rows + selection.dropped.total(), f"query counts do not add up: {counts}"
    (out / "dropped.json").write_text(json.dumps(counts, sort_keys=True, indent=1) + "\n")
    return counts


def write_rows(intakes: Iterable[Iterable[pa.Table]], folder: Path, rows_per_part: int) -> int:
    """Write rows as ``<split>-00000.parquet`` files below ``folder``, replacing existing files; return their number.

    A part contains rows of one intake. A split without rows is an empty file with the schema, so that all splits
    always exist.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = dict.fromkeys(schemas.SPLITS, 0)
    parts = dict.fromkeys(schemas.SPLITS, 0)

    def write(split: str, rows: pa.Table) -> None:
        write_parquet(rows.combine_chunks(), folder / f"{split}-{parts[split]:05d}.parquet", _ROW_GROUP)
        parts[split] += 1
        written[split] += rows.num_rows

    for tables in intakes:
        cutters = {split: RowCutter(schemas.TRAINING_ROWS, rows_per_part) for split in schemas.SPLITS}
        for table in tables:
            for split, cutter in cutters.items():
                for part in cutter.add(table.filter(pc.equal(table["split"], split))):
                    write(split, part)
        for split, cutter in cutters.items():
            for part in cutter.rest():
                write(split, part)
    for split in schemas.SPLITS:
        if not parts[split]:
            write(split, schemas.TRAINING_ROWS.empty_table())
    return sum(written.values())


@dataclass(frozen=True)
class _Source:
    """The inputs of the rows."""

    snapshot: Snapshot
    inputs: Inputs
    selection: Selection
    instruction: str


def _by_intake(source: _Source) -> Iterator[Iterator[pa.Table]]:
    """Yield for each intake, in order of name, the rows of its shards that have some."""
    shards = sorted({shard for _, shard in source.selection.chosen_places})
    for _, of_intake in groupby(shards, key=lambda shard: shard.intake):
        yield (_shard_rows(source, shard) for shard in of_intake)


def _shard_rows(source: _Source, shard: Shard) -> pa.Table:
    """Return the rows of one shard under all lineages, sorted by query_id."""
    snapshot, inputs = source.snapshot, source.inputs
    tables = [schemas.TRAINING_ROWS.empty_table()]
    for lineage in snapshot["lineages"]:
        if (chosen := source.selection.chosen((lineage, shard))).num_rows:
            segmented = upstream_of(snapshot["engines"][lineage], "segment")
            queries = inputs.read("queries", lineage, shard)
            images = inputs.read("images", None, shard)
            instances = inputs.read("instances", segmented, shard)
            constant = {"lineage": lineage, "variants_human_verified": False}
            stages = _stages_by_image(_engines(snapshot, lineage), instances, images["image_id"])
            tables.append(_rows(queries, images, instances, chosen, constant, stages, source.instruction))
    return pa.concat_tables(tables).sort_by("query_id")


def _engines(snapshot: Snapshot, lineage: str) -> list[Row]:
    """Return the engines of a lineage by stage, and the models that screened it."""
    screened = [facts for facts in snapshot.get("screened", ()) if facts["upstream"] == lineage]
    return [*snapshot["engines"][lineage], *screened]


def _rows(
    queries: pa.Table,
    images: pa.Table,
    instances: pa.Table,
    chosen: pa.Table,
    constant: Row,
    stages: pa.Array,
    instruction: str,
) -> pa.Table:
    """Return the chosen queries of a shard as rows (schemas.TRAINING_ROWS), joined in Arrow and not row by row.

    ``chosen`` says which, and their released values; ``constant`` contains columns with the same value for all rows,
    ``stages`` the engines behind each of ``images``.
    """
    queries = queries.take(chosen["position"])
    place = pc.index_in(queries["image_id"], value_set=images["image_id"].combine_chunks())
    shown = images.take(place)
    columns: dict[str, Any] = {
        name: queries[name] for name in queries.column_names if name in schemas.TRAINING_ROWS.names
    }
    columns |= {name: shown[name] for name in _OF_IMAGE}
    columns |= {name: chosen[name] for name in chosen.column_names}
    columns |= {name: [value] * chosen.num_rows for name, value in constant.items()}
    columns |= {"source_uri": shown["uri"], "image_tokens": _tokens(images).take(place)}
    columns["prompt"] = pc.binary_join_element_wise(queries["question"], instruction, "\n")
    columns["stages"] = stages.take(place.combine_chunks())
    columns["instances"] = _grouped(instances, images["image_id"]).take(place.combine_chunks())
    kinds = chosen["variants"].to_pylist()
    for kind in variants.VARIANTS:
        confirmed = pa.array([kind in some for some in kinds], pa.bool_())
        columns |= {name: _only(columns[name], confirmed) for name in variants.columns(kind)}
    rows = pa.table({name: columns[name] for name in schemas.TRAINING_ROWS.names}, schema=schemas.TRAINING_ROWS)
    return _clear_unconfirmed_readings(rows)


def _tokens(images: pa.Table) -> pa.Array:
    sizes = zip(images["width"].to_pylist(), images["height"].to_pylist(), strict=True)
    return pa.array([image_tokens(*size) if is_supported_size(*size) else None for size in sizes], pa.int32())


def _only(column: pa.ChunkedArray, kept: pa.Array) -> pa.ChunkedArray:
    """Return a column with null in rows where ``kept`` is false."""
    return column.take(pc.if_else(kept, pa.array(range(len(kept)), pa.int64()), None))


def _stages_by_image(engines: Sequence[Row], instances: pa.Table, image_ids: pa.ChunkedArray) -> pa.Array:
    """Return the engines behind each image's rows, in the order of ``image_ids``: of several those that saw it."""
    saw = one_of_each(instances, image_ids)
    kind = schemas.TRAINING_ROWS.field("stages").type
    return pa.array([[seen_by(stage, one) for stage in engines] for one in saw], kind)


def _grouped(instances: pa.Table, image_ids: pa.ChunkedArray) -> pa.Array:
    """Return one list of instances for each image, in the order of ``image_ids``."""
    place = pc.index_in(instances["image_id"], value_set=image_ids.combine_chunks())
    held, place = instances.filter(pc.is_valid(place)), place.drop_null().to_numpy()
    ends = np.cumsum(np.bincount(place, minlength=len(image_ids)))
    ordered = held.take(pa.array(np.argsort(place, kind="stable")))
    released = pa.schema(list(schemas.RELEASED_INSTANCE))
    ordered = ordered.select(released.names).combine_chunks().cast(released)
    structs = pa.StructArray.from_arrays(
        [ordered[name].combine_chunks() for name in ordered.column_names], fields=list(ordered.schema)
    )
    return pa.ListArray.from_arrays(pa.array([0, *ends], pa.int32()), structs)


def _clear_unconfirmed_readings(rows: pa.Table) -> pa.Table:
    """Return rows with hop readings removed where humans and program disagree.

    At least one reading is wrong but it is unknown which, so none is released as ground truth.
    """
    agrees = rows["program_agrees"]
    if pc.all(agrees).as_py() is not False:
        return rows
    pairs = zip(rows["hops"].to_pylist(), agrees.to_pylist(), strict=True)
    hops = [hops if sure else [{**hop, "value": None} for hop in hops] for hops, sure in pairs]
    field = rows.schema.field("hops")
    return rows.set_column(rows.schema.get_field_index("hops"), field, pa.array(hops, field.type))
