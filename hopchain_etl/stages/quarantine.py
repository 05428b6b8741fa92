"""Quarantine: a row that failed permanently in several runs of its shard is given up and no longer keeps it unfinished.

Its reject row says ``quarantined``, with the last error. Later runs of the shard carry it over as it is stored: the
rows and rejects of the part that had succeeded too. Other fingerprints have other folders, so they start anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Marker

Row = dict[str, Any]


@dataclass(frozen=True)
class QuarantinedRow:
    """What is stored of a quarantined input: output rows of the part that succeeded, and all its reject rows."""

    rows: Sequence[Row]
    rejects: Sequence[Row]


@dataclass(frozen=True)
class History:
    """What earlier runs of a shard left behind: permanent failures so far and the quarantined rows, by input_id.

    ``answered``: whether any row of the shard was processed. Where none was, the engine may be set up wrongly and
    refuse everything, so that no row is given up.
    """

    attempts: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, QuarantinedRow] = field(default_factory=dict)
    answered: bool = False

    def attempts_of(self, input_id: str, *, permanent: bool) -> int:
        """Return how often a row has failed permanently, with the failure of this run."""
        return self.attempts.get(input_id, 0) + permanent


def history(lake: Lake, table: str, folder: str, marker: Marker | None, *, retry: bool) -> History:
    """Return the history of a shard of ``table`` below ``folder``, whose marker is given.

    ``retry``: no row counts as quarantined, all are tried again.
    """
    if marker is None:
        return History()
    answered = marker.ok + marker.rejected + marker.quarantined > 0
    if retry or not marker.quarantined:
        return History(marker.attempts, answered=answered)
    import pyarrow.compute as pc

    rejects = lake.parts(folder, marker.rejects, schemas.REJECTS)
    ids = rejects.filter(pc.equal(rejects["outcome"], schemas.QUARANTINED))["input_id"].unique()
    column = schemas.input_column(table)
    rows = _by(column, lake.parts(folder, marker.parts, schemas.TABLES[table]), ids)
    refused = _by("input_id", rejects, ids)
    found = {one: QuarantinedRow(rows.get(one, ()), refused[one]) for one in ids.to_pylist()}
    return History(marker.attempts, found, answered)


def _by(column: str, table: pa.Table, ids: pa.Array) -> dict[str, list[Row]]:
    """Return the rows whose ``column`` is among ``ids``, grouped by it, in their order."""
    import pyarrow.compute as pc

    groups: dict[str, list[Row]] = {}
    for row in table.filter(pc.is_in(table[column], value_set=ids)).to_pylist():
        groups.setdefault(row[column], []).append(row)
    return groups
