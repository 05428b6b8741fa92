"""Which queries people are not asked, because judge or screen rejected them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.view import View, each
from hopchain_etl.schemas import REJECTS
from hopchain_etl.stages.judge import VERDICTS

if TYPE_CHECKING:
    from hopchain_etl.pipeline.build import Build

REASONS = frozenset({"too_easy", "guessable", *(f"judged_{verdict}" for verdict in VERDICTS)})
# stage -> table, of the stages that can exclude queries, if the profile has engines for them
FILTER_STAGES = {"judge": "judgements", "screen": "attempts"}

_REJECTED = pa.schema([("shard", pa.string()), ("query_id", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True)
class ExcludedQueries:
    """The ``shards`` of a lineage whose queries can be asked, and their excluded queries.

    ``rows`` has shard, query_id and (the first) reason.
    """

    shards: frozenset[Shard]
    rows: pa.Table

    def without_shards(self, shards: Collection[Shard]) -> ExcludedQueries:
        """Return the same for the other shards only."""
        others = pc.invert(pc.is_in(self.rows["shard"], value_set=pa.array(map(str, shards), pa.string())))
        return ExcludedQueries(self.shards - set(shards), self.rows.filter(others))

    def reasons(self) -> dict[str, int]:
        """Return the number of excluded queries by reason, sorted by reason."""
        counts = pc.value_counts(self.rows["reason"].combine_chunks()).to_pylist()
        return {one["values"]: one["counts"] for one in sorted(counts, key=lambda one: str(one["values"]))}


def excluded_queries(build: Build) -> ExcludedQueries:
    """Return the queries of the current lineage that are not asked.

    Includes only shards that the current judge and screen have finished, if the profile has engines for them.
    """
    steps = [build.steps[stage] for stage in FILTER_STAGES if stage in build.steps]
    return _excluded(build.lake, build.lineage, [(step.stage.table, step.fingerprint) for step in steps], finished=True)


def excluded_queries_of_lineage(lake: Lake, lineage: str) -> ExcludedQueries:
    """Return the same for any (also older) queries fingerprint: all queries that judge or screen rejected."""
    guards = [(table, name) for stage, table in FILTER_STAGES.items() for name in filters_of(lake, stage, lineage)]
    return _excluded(lake, lineage, guards, finished=False)


def filters_of(lake: Lake, stage: str, lineage: str) -> list[str]:
    """Return the fingerprints of a stage's tables (one of FILTER_STAGES) over the queries of a lineage."""
    found = ((name, lake.get_json(f"lineages/{name}.json")) for name in lake.fingerprints(FILTER_STAGES[stage]))
    return [name for name, facts in found if facts and (facts["stage"], facts["upstream"]) == (stage, lineage)]


def _excluded(lake: Lake, lineage: str, guards: Iterable[tuple[str, str]], *, finished: bool) -> ExcludedQueries:
    shards = set(lake.markers("queries", lineage))
    tables = [_REJECTED.empty_table()]
    for table, fingerprint in guards:
        markers = lake.markers(table, fingerprint)
        shards = shards & markers.keys() if finished else shards
        tables.append(_rejected(lake, table, fingerprint, markers))
    rows = pa.concat_tables(tables)
    rows = rows.filter(pc.is_in(rows["shard"], value_set=pa.array(map(str, shards), pa.string())))
    first = rows.group_by(["shard", "query_id"], use_threads=False).aggregate([("reason", "first")])
    return ExcludedQueries(frozenset(shards), first.rename_columns({"reason_first": "reason"}))


def _rejected(lake: Lake, table: str, fingerprint: str, markers: Mapping[Shard, Marker]) -> pa.Table:
    """Return the queries that a stage rejected; only shards that are new or changed are read."""

    def read(name: str) -> pa.Table:
        shard = Shard.parse(name)
        columns = ["reason", "input_id"]
        rows = lake.parts(lake.folder(table, fingerprint, shard), markers[shard].rejects, REJECTS, columns)
        rows = rows.filter(pc.is_in(rows["reason"], value_set=pa.array(sorted(REASONS))))
        values = [pa.array([name] * rows.num_rows, pa.string()), rows["input_id"], rows["reason"]]
        return pa.table(values, schema=_REJECTED)

    versions = {str(shard): ",".join(part.sha256 for part in marker.rejects) for shard, marker in markers.items()}
    return View(lake.store, f"rejected-{table}-{fingerprint}", _REJECTED).rows(versions, each(read))
