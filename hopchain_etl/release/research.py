"""The research artifact: every query with its outcome, rejects, raw attempts, verdicts and votes.

It is stored in ``research/``, a separate DVC project in the registry: ``dvc pull`` of the training sets does not
download it, ``dvc pull`` in that folder does. Annotators have the pseudonyms of the released rows; timestamps and
comments, which could identify them, stay in the lake. Withdrawn photos are not included.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Shard, exclude_withdrawn
from hopchain_etl.lake.parquet import parquet_bytes
from hopchain_etl.release.assemble import Params, read_params
from hopchain_etl.release.dvc_objects import RESEARCH
from hopchain_etl.release.git import GitRepo
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.release.outcomes import Selection
from hopchain_etl.release.places import Place
from hopchain_etl.release.query_keys import Keys, as_keys, find, keys_of, starts_of
from hopchain_etl.release.row_cutting import cut_rows
from hopchain_etl.release.selection import select
from hopchain_etl.templating import render

POINTER = f"{RESEARCH}raw.dvc"

Tables = Iterator[tuple[tuple[str, Shard], pa.Table]]  # by fingerprint and shard, in order


def write_research(snapshot: Snapshot, params: Params, lake: Lake, folder: Path) -> dict[str, int]:
    """Write the artifact (schemas.RESEARCH, and a README.md) into ``folder``, replacing it; return row counts.

    A part contains rows of one intake and one fingerprint, so that a new intake adds parts and changes few existing
    ones. The same snapshot and parameters give the same bytes. Raises LakeError if parts named in the snapshot are
    missing in the lake.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = _Source(snapshot, params, lake)
    counts = {name: _write(name, tables, folder, params.rows_per_part) for name, tables in source.tables()}
    (folder / "README.md").write_text(_readme(snapshot, counts), encoding="utf-8")
    return counts


def add_research(repo: GitRepo, lake: Lake, snapshot: Snapshot) -> None:
    """Write the artifact into a clone of the registry and put it under DVC; remove it if it is not enabled."""
    root = repo.path / RESEARCH
    if not repo.settings.release.research:
        shutil.rmtree(root, ignore_errors=True)
        return
    write_research(snapshot, read_params(repo.path / "params.yaml"), lake, root / "raw")
    if not (root / ".dvc").exists():
        repo.dvc("--cd", RESEARCH, "init", "--subdir")
    (root / ".dvc" / "config").write_bytes((repo.path / ".dvc" / "config").read_bytes())
    repo.dvc("--cd", RESEARCH, "add", "raw")


def push_research(repo: GitRepo) -> None:
    """Push the artifact's bytes, if there is one."""
    if (repo.path / POINTER).exists():
        repo.dvc("--cd", RESEARCH, "push")


class _Source:
    """The artifact's tables, read shard by shard."""

    def __init__(self, snapshot: Snapshot, params: Params, lake: Lake) -> None:
        self._inputs = Inputs(snapshot, lake)
        self._lineages: list[str] = snapshot["lineages"]
        self._withdrawn: list[str] = snapshot["withdrawn"]
        self._selections: Mapping[str, Selection] = {
            target: select(snapshot, params.split, self._inputs, target, params.rules) for target in snapshot["targets"]
        }
        self._keys, self._images = bytearray(), [pa.array([], pa.string())]  # of the queries in the artifact

    def tables(self) -> Iterator[tuple[str, Tables]]:
        """Yield each table's name and rows; queries first, because the other tables get their image_id from them."""
        yield "queries", self._queries()
        yield "rejects", self._rejects()
        yield "attempts", self._of_queries("attempts")
        yield "judgements", self._of_queries("judgements")
        yield "votes", self._votes()

    def _queries(self) -> Tables:
        for place, rows in self._each("queries", self._lineages):
            outcomes = pa.array(self._outcomes(place), pa.list_(schemas.OUTCOME))
            rows = exclude_withdrawn(rows.append_column("outcomes", outcomes), self._withdrawn)
            self._keys += keys_of(rows["query_id"].to_pylist()).tobytes()
            self._images += rows["image_id"].chunks
            yield place, rows

    def _outcomes(self, place: Place) -> Iterator[list[dict[str, str]]]:
        """Yield what became of each query of a shard, in every target."""
        by_target = [selection.outcomes(place) for selection in self._selections.values()]
        for outcomes in zip(*by_target, strict=True):
            pairs = zip(self._selections, outcomes, strict=True)
            yield [{"target": target, "outcome": outcome} for target, outcome in pairs]

    def _rejects(self) -> Tables:
        for lineage in self._lineages:
            for shard in self._inputs.shards("queries", lineage):
                rows = exclude_withdrawn(self._inputs.rejects(lineage, shard), self._withdrawn)
                yield (lineage, shard), rows.filter(pc.is_valid(rows["image_id"]))

    def _of_queries(self, table: str) -> Tables:
        for place, rows in self._each(table, self._inputs.fingerprints(table)):
            yield place, self._of_known_photos(rows)

    def _votes(self) -> Tables:
        for place, found in self._of_queries("answers"):
            counts = [not self._inputs.is_voided(name) for name in found["annotator"].to_pylist()]
            rows = found.filter(pa.array(counts, pa.bool_()))
            names = [self._inputs.pseudonym(name) for name in rows["annotator"].to_pylist()]
            at = rows.schema.get_field_index("annotator")
            yield place, rows.set_column(at, "annotator", pa.array(names, pa.string()))

    def _each(self, table: str, fingerprints: Iterable[str]) -> Tables:
        for fingerprint in fingerprints:
            for shard in self._inputs.shards(table, fingerprint):
                yield (fingerprint, shard), self._inputs.read(table, fingerprint, shard)

    def _of_known_photos(self, rows: pa.Table) -> pa.Table:
        """Return rows with their image_id, without rows of withdrawn photos and of queries outside the artifact."""
        known, images = self._known
        places = find(known, keys_of(rows["query_id"].to_pylist()))
        rows = rows.append_column("image_id", images.take(pa.array(places, mask=places < 0)))
        return rows.filter(pc.is_valid(rows["image_id"]))

    @cached_property
    def _known(self) -> tuple[Keys, pa.ChunkedArray]:
        """The keys of the queries in the artifact, sorted, with their images."""
        keys = as_keys(self._keys)
        order = np.argsort(keys, kind="stable")
        first = order[starts_of(keys[order])]
        return keys[first], pa.chunked_array(self._images).take(pa.array(first))


def _write(name: str, tables: Tables, folder: Path, rows_per_part: int) -> int:
    """Write one table as ``<name>-00000.parquet`` files, at least one, and return how many rows it has."""
    schema = schemas.RESEARCH[name]
    written = parts = 0
    for (fingerprint, _), group in groupby(tables, key=lambda one: (one[0][0], one[0][1].intake)):
        stamped = (rows.append_column("fingerprint", pa.array([fingerprint] * rows.num_rows)) for _, rows in group)
        for part in cut_rows((rows.select(schema.names).cast(schema) for rows in stamped), schema, rows_per_part):
            (folder / f"{name}-{parts:05d}.parquet").write_bytes(parquet_bytes(part.combine_chunks()))
            written, parts = written + part.num_rows, parts + 1
    if not parts:
        (folder / f"{name}-00000.parquet").write_bytes(parquet_bytes(schema.empty_table()))
    return written


def _readme(snapshot: Snapshot, counts: Mapping[str, int]) -> str:
    return render(
        "release",
        "research.md.j2",
        counts=counts,
        targets=snapshot["targets"],
        lineages=snapshot["lineages"],
    )
