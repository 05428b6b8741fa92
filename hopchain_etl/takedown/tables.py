"""Rewrites shards of lake tables without given photos, as if these had never been listed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.shards import LakeError, Marker, Part, Shard
from hopchain_etl.takedown.photos import Names, hash_of, strings

# From the last stage to the first, so that no table ever has rows about rows that are gone.
TABLES = ("answers", "judgements", "attempts", "queries", "instances", "categories", "labels", "images")
TABLE_OF_STAGE = {
    "detect": "categories",
    "segment": "instances",
    "generate": "queries",
    "judge": "judgements",
    "screen": "attempts",
}
OF_QUERIES = ("judgements", "attempts")
# What one input of a table's stage is called in its rows: one input can give several rows.
_INPUT = {"answers": ["query_id", "seat"], "judgements": ["query_id"], "attempts": ["query_id"]}
_PART = re.compile(r"(part|rejects)-[^/]*")
Place = tuple[str, str | None, Shard]


def rewrite(lake: Lake, place: Place, names: Names) -> int:
    """Remove the photos from a shard: rows, rejects, samples, and parts that no marker names; return removed rows.

    Idempotent, and nothing is left behind wherever it was cut off: what the marker does not name is erased, and so
    are older versions of everything in the folder.
    """
    folder, marker, removed = lake.folder(*place), lake.marker(*place), 0
    if marker is not None:
        updated, removed = _cleaned(lake, place, marker, names)
        if updated != marker:
            lake.replace_marker(*place, updated)
            marker = updated
    forget_samples(lake, folder)
    kept = {part.name for part in (*marker.parts, *marker.rejects)} if marker else set()
    purge(lake.store, folder, lambda name: is_part(name) and name not in kept)
    return removed


def _cleaned(lake: Lake, place: Place, marker: Marker, names: Names) -> tuple[Marker, int]:
    """Write the parts anew that name the photos; return the marker for the result and the number of removed rows."""
    table, folder = place[0], lake.folder(*place)
    parts, gone = [], []
    for part in marker.parts:
        rows = lake.parts(folder, [part], schemas.TABLES[table])
        hit = names.rows_of(rows)
        kept = _regrouped(rows.filter(pc.invert(hit)), names) if table == "images" else rows.filter(pc.invert(hit))
        parts += [part] if kept.equals(rows) else _written(lake, folder, part, kept)
        gone += rows.filter(hit).select(_INPUT.get(table, ["image_id"])).to_pylist()
    rejects = lake.parts(folder, marker.rejects, schemas.REJECTS)
    about = names.rejects_of(rejects)
    unnamed = rejects.filter(pc.invert(about)) if pc.any(about).as_py() else None
    updated = replace(
        marker,
        parts=tuple(parts),
        rejects=marker.rejects if unnamed is None else lake.write_parts(folder, "rejects", unnamed),
        **_counts(marker, gone, rejects.filter(about).to_pylist()),
    )
    return updated, len(gone)


def _written(lake: Lake, folder: str, part: Part, rows: pa.Table) -> list[Part]:
    return [lake.write_part(folder, part.name.rsplit("-", 1)[0], rows)] if rows.num_rows else []


def _counts(marker: Marker, rows: list[dict[str, Any]], rejects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of a marker without these rows and rejects."""
    inputs = [reject for reject in rejects if reject["scope"] == "input"]

    def of(outcome: str) -> set[str]:
        return {reject["input_id"] for reject in inputs if reject["outcome"] == outcome}

    failed, quarantined = of("failed"), of("quarantined")  # these may have rows all the same
    gone = {tuple(row.values()) for row in rows if not (failed | quarantined) & {*row.values()}}
    ok = max(0, marker.ok - len(gone))
    rejected = max(0, marker.rejected - sum(reject["outcome"] == "rejected" for reject in inputs))
    left = max(0, marker.failed - len(failed))
    kept = max(0, marker.quarantined - len(quarantined))
    reasons = Counter(marker.reasons) - Counter(reject["reason"] for reject in rejects)
    attempts = {name: count for name, count in marker.attempts.items() if name not in failed | quarantined}
    counts = {"ok": ok, "rejected": rejected, "failed": left, "quarantined": kept}
    return {**counts, "read": sum(counts.values()), "reasons": dict(reasons), "attempts": attempts}


def _regrouped(rows: pa.Table, names: Names) -> pa.Table:
    """Return rows of images whose near-duplicate groups are not named after the photos any more.

    The new name follows from the old one, so that it is the same in all shards.
    """
    ids = strings(names.images)
    for name in ("group", "near"):
        column = rows[name]
        if pc.any(pc.is_in(column if name == "group" else pc.list_flatten(column), ids)).as_py():
            values = [_renamed(value, names.images) for value in column.to_pylist()]
            field = rows.schema.field(name)
            rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(values, field.type))
    return rows


def _renamed(value: Any, images: set[str]) -> Any:
    if isinstance(value, list):
        return [_renamed(one, images) for one in value]
    return hash_of(value) if value in images else value


def forget_samples(lake: Lake, folder: str) -> None:
    """Remove the samples of failing rows from a shard's validation.json: whose they are is not written there."""
    key = f"{folder}validation.json"
    summary = lake.get_json(key)
    if summary and any(one.get("samples") for one in summary.get("expectations", ())):
        expectations = [{**one, "samples": []} for one in summary["expectations"]]
        lake.put_json(key, {**summary, "expectations": expectations})


def is_part(name: str) -> bool:
    """Return whether a file in a shard's folder is a part with rows or rejects."""
    return bool(_PART.fullmatch(name))


def purge(store: ObjectStore, folder: str, unwanted: Callable[[str], bool]) -> None:
    """Erase the objects below ``folder`` whose name is ``unwanted``, and all older versions of the others."""
    versions = list(store.versions(folder))
    old = [one for one in versions if not one.current or one.deleted or unwanted(one.key.removeprefix(folder))]
    store.erase_versions(sorted(old, key=lambda one: one.deleted))  # a delete marker last, so that nothing comes back


def forget_markers(lake: Lake, table: str, fingerprint: str | None) -> None:
    """Leave no older marker in a table's manifest."""
    lake.manifest(table, fingerprint).fold()
    purge(lake.store, f"manifests/{table}/{fingerprint or '-'}/", lambda name: False)


# --- which shards were up to date: an erase must not make a build run them again ---


def up_to_date(lake: Lake, place: Place) -> str | None:
    """Return the digest of a shard's inputs if it was built from their current state, else None."""
    try:
        sources, marker = _sources(lake, place[1]), lake.marker(*place)
        digest = lake.inputs_digest(sources, place[2]) if sources else None
    except (LakeError, ValueError):
        return None
    return digest if marker and marker.inputs == digest else None


def keep_up_to_date(lake: Lake, place: Place, before: str) -> None:
    """Write the digest of the rewritten inputs to a shard whose marker still has the one ``before`` the erase."""
    sources, marker = _sources(lake, place[1]), lake.marker(*place)
    if not sources or marker is None or marker.inputs != before:
        return
    digest = lake.inputs_digest(sources, place[2])
    if digest != before:
        lake.replace_marker(*place, replace(marker, inputs=digest))
        lake.store.erase([lake.folder(*place) + "_SUCCESS"], keep_current=True)


def _sources(lake: Lake, fingerprint: str | None) -> list[tuple[str, str | None]] | None:
    """Return the input tables of a lineage's shards; None if unknown."""
    facts = lake.get_json(f"lineages/{fingerprint}.json") if fingerprint else None
    if facts is None or facts["stage"] not in TABLE_OF_STAGE:
        return None
    labels = [("labels", name) for name in [facts.get("params", {}).get("labels")] if name]
    if facts["upstream"] is None:
        return [("images", None), *labels]
    above = lake.get_json(f"lineages/{facts['upstream']}.json")
    return [("images", None), (TABLE_OF_STAGE[above["stage"]], facts["upstream"]), *labels] if above else None
