"""The rows of the tables ``answers`` that one person gave: finds them, and writes the tables without the person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Marker
from hopchain_etl.lake.shards import Part
from hopchain_etl.takedown.people.documents import Change, day_of
from hopchain_etl.takedown.people.stores import PRIVATE_OF_VOTES
from hopchain_etl.takedown.tables import Place, forget_markers, forget_samples, is_part, purge


@dataclass(frozen=True)
class Rows:
    """A shard of the table of a batch with rows of a person, or rejects that repeat one of them."""

    place: Place
    marker: Marker
    rows: int
    rejects: int


def shards_with(lake: Lake, name: str) -> Iterator[Rows]:
    """Yield the shards that name a person; reads one column of each. Raises LakeError if one cannot be read."""
    for fingerprint in lake.fingerprints("answers"):
        for shard, marker in lake.markers("answers", fingerprint).items():
            folder = lake.folder("answers", fingerprint, shard)
            given = lake.parts(folder, marker.parts, schemas.ANSWERS, ["annotator"])["annotator"]
            payloads = lake.parts(folder, marker.rejects, schemas.REJECTS, ["payload"])["payload"]
            rows = pc.sum(pc.equal(given, name)).as_py() or 0
            rejects = sum(_annotator(payload) == name for payload in payloads.to_pylist())
            if rows or rejects:
                yield Rows(("answers", fingerprint, shard), marker, rows, rejects)


def rows_of(lake: Lake, found: Rows, name: str) -> list[dict[str, Any]]:
    """Return the rows of a person in a shard."""
    rows = lake.parts(lake.folder(*found.place), found.marker.parts, schemas.ANSWERS)
    return list(rows.filter(pc.equal(rows["annotator"], name)).to_pylist())


def change_tables(lake: Lake, what: Change) -> int:
    """Rewrite the shards with rows of a person as a change says; return the number of rows.

    Idempotent: what a marker does not name is erased, and so are older versions and samples of failing rows, in the
    folders of all batches.
    """
    done = 0
    for found in list(shards_with(lake, what.name)):
        lake.replace_marker(*found.place, _without(lake, found, what))
        done += found.rows
    for fingerprint in lake.fingerprints("answers"):
        for shard, marker in lake.markers("answers", fingerprint).items():
            _tidy(lake, ("answers", fingerprint, shard), marker, what)
        forget_markers(lake, "answers", fingerprint)
    return done


def _without(lake: Lake, found: Rows, what: Change) -> Marker:
    folder, marker = lake.folder(*found.place), found.marker
    parts: list[Part] = []
    for part in marker.parts:
        rows = lake.parts(folder, [part], schemas.ANSWERS)
        mine = pc.equal(rows["annotator"], what.name)
        if not pc.any(mine).as_py():
            parts.append(part)
        elif (left := _renamed(rows, what) if what.keep else rows.filter(pc.invert(mine))).num_rows:
            parts.append(lake.write_part(folder, part.name.rsplit("-", 1)[0], left))
    gone = 0 if what.keep else found.rows
    updated = replace(marker, parts=tuple(parts), read=marker.read - gone, ok=marker.ok - gone)
    if not found.rejects:
        return updated
    rejects = lake.parts(folder, marker.rejects, schemas.REJECTS)
    payloads = [None if _annotator(one) == what.name else one for one in rejects["payload"].to_pylist()]
    place = rejects.schema.get_field_index("payload")
    rejects = rejects.set_column(place, rejects.schema.field(place), pa.array(payloads, pa.string()))
    return replace(updated, rejects=lake.write_parts(folder, "rejects", rejects))


def _renamed(rows: pa.Table, what: Change) -> pa.Table:
    """Return rows in which the person has the pseudonym, and no comment or time but the day."""

    def left(row: dict[str, Any]) -> dict[str, Any]:
        if row["annotator"] != what.name:
            return row
        day = day_of(row["answered_at"])
        return {**row, **PRIVATE_OF_VOTES, "annotator": what.pseudonym, "answered_at": day}

    return pa.Table.from_pylist([left(row) for row in rows.to_pylist()], schema=rows.schema)


def _tidy(lake: Lake, place: Place, marker: Marker, what: Change) -> None:
    folder = lake.folder(*place)
    kept = {part.name for part in (*marker.parts, *marker.rejects)}
    summary = json.dumps(lake.get_json(folder + "validation.json"), ensure_ascii=False)
    if what.name in summary:
        forget_samples(lake, folder)
    purge(lake.store, folder, lambda name: is_part(name) and name not in kept)


def _annotator(payload: str | None) -> Any:
    """Return who gave the row that a reject repeats, None if it repeats none."""
    try:
        row = json.loads(payload or "null")
    except ValueError:
        return None
    return row.get("annotator") if isinstance(row, dict) else None
