"""Which queries are in no batch yet, from views of the batches and of the queries: only what is new is read."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.eligibility import ExcludedQueries
from hopchain_etl.hops.template import template_of
from hopchain_etl.lake.lake import Lake, LakeError, Shard
from hopchain_etl.lake.view import View, each

log = logging.getLogger(__name__)

HASH = pa.binary(32)  # ids are sha256: as bytes they need half the memory
_ASKED = pa.schema([("query_id", HASH)])
_QUERIES = pa.schema([("query_id", HASH), ("image_id", HASH), ("shard", pa.string()), ("row", pa.int32()),
                      ("template", pa.string())])  # fmt: skip
_IS_HASH = re.compile(r"[0-9a-f]{64}")


def unassigned_queries(
    lake: Lake, lineage: str, excluded: ExcludedQueries, *, besides: str = ""
) -> dict[Shard, list[str]]:
    """Return the queries of a fingerprint that are in no batch (except ``besides``), by shard, in order."""
    return by_shard(unasked_rows(lake, lineage, excluded, besides=besides))


def by_shard(rows: pa.Table) -> dict[Shard, list[str]]:
    """Return the ids of queries (see ``unasked_rows``) by shard, in order."""
    found: dict[Shard, list[str]] = {}
    for row in rows.select(["shard", "query_id"]).to_pylist():
        found.setdefault(Shard.parse(row["shard"]), []).append(row["query_id"].hex())
    return found


def unasked_rows(lake: Lake, lineage: str, excluded: ExcludedQueries, *, besides: str = "") -> pa.Table:
    """Return the queries of a fingerprint that are in no batch (except ``besides``), in order: see ``queries_of``.

    Only the shards of ``excluded`` count, without the queries that it excludes and those of withdrawn photos.
    """
    rows = queries_of(lake, lineage)
    rows = rows.filter(pc.is_in(rows["shard"], value_set=pa.array(map(str, excluded.shards), pa.string())))
    rows = rows.filter(pc.invert(pc.is_in(rows["query_id"], value_set=_asked(lake, {besides}))))
    withdrawn = pc.is_in(rows["image_id"], value_set=hashes_of(lake.withdrawn()), skip_nulls=True)
    rows = rows.filter(pc.invert(withdrawn))
    rejected = pa.table({"shard": excluded.rows["shard"], "query_id": hashes_of(excluded.rows["query_id"].to_pylist())})
    rows = rows.join(rejected, ["shard", "query_id"], join_type="left anti")
    return rows.sort_by([("shard", "ascending"), ("row", "ascending")])


def not_asked(lake: Lake, queries: Sequence[str], besides: Collection[str]) -> list[str]:
    """Return those of the queries that are in no batch except ``besides``."""
    known = pc.is_in(hashes_of(queries), value_set=_asked(lake, besides)).to_pylist()
    return [query for query, asked in zip(queries, known, strict=True) if not asked]


def batches_asking(lake: Lake, queries: Iterable[str]) -> dict[str, str]:
    """Return the last batch, by name, that asks each of these queries, without those that are in none.

    Costs a listing and a few reads, however many batches there are.
    """
    return {query: max(names) for query, names in all_batches_asking(lake, queries).items()}


def all_batches_asking(lake: Lake, queries: Iterable[str]) -> dict[str, set[str]]:
    """Return all batches that ask each of these queries, without those that are in none."""
    wanted = hashes_of(queries)
    found: dict[str, set[str]] = {}
    asked = _asked_rows(lake, (), strict=False)
    for row in asked.filter(pc.is_in(asked["query_id"], value_set=wanted, skip_nulls=True)).to_pylist():
        found.setdefault(row["query_id"].hex(), set()).add(batches.name_of_record(row["key"]))
    return found


def _asked(lake: Lake, besides: Collection[str]) -> pa.Array:
    return _asked_rows(lake, besides)["query_id"].combine_chunks()


def _asked_rows(lake: Lake, besides: Collection[str], *, strict: bool = True) -> pa.Table:
    """Return the queries of all batches except ``besides``, with the ``key`` of the batch.

    A batch that cannot be read any more stops nobody: what it was last seen to ask stays asked. One that never could be
    read raises LakeError if ``strict``, because its questions would be asked twice.
    """
    view, excepted = View(lake.store, "asked", _ASKED), {f"batches/{name}.json" for name in besides}

    def read(key: str) -> pa.Table | None:
        try:
            return _asked_by(lake, key)
        except LakeError as error:
            held = view.last(key)
            if strict and held is None and key not in excepted:
                raise
            log.warning("%s; the questions that it was last seen to ask count as asked", error)
            return held

    etags = {one.key: one.etag for one in batches.listed(lake).values()}
    return view.rows(etags, each(read), besides=excepted, source="key")


def _asked_by(lake: Lake, key: str) -> pa.Table:
    queries = batches.load(lake, batches.name_of_record(key)).query_ids
    if not all(map(_IS_HASH.fullmatch, queries)):
        raise LakeError(f"{lake.store.uri(key)} names something that is no query")
    return pa.table([hashes_of(queries)], schema=_ASKED)


def queries_of(lake: Lake, lineage: str) -> pa.Table:
    """Return all queries of a lineage with photo, place and template; ids as bytes. Reads only shards that are new."""
    markers = lake.markers("queries", lineage)

    def read(name: str) -> pa.Table:
        shard = Shard.parse(name)
        columns = ["query_id", "image_id", "hops"]
        folder = lake.folder("queries", lineage, shard)
        rows = lake.parts(folder, markers[shard].parts, schemas.TABLES["queries"], columns)
        ids = [hashes_of(rows[column].to_pylist()) for column in columns[:2]]
        place = [pa.array([name] * rows.num_rows, pa.string()), pa.array(range(rows.num_rows), pa.int32())]
        templates = pa.array((template_of(hops or ()) for hops in rows["hops"].to_pylist()), pa.string())
        return pa.table([*ids, *place, templates], schema=_QUERIES)

    versions = {str(shard): ",".join(part.sha256 for part in marker.parts) for shard, marker in markers.items()}
    return View(lake.store, f"queries-{lineage}", _QUERIES).rows(versions, each(read))


def hashes_of(ids: Iterable[str]) -> pa.Array:
    """Return ids (64 hex digits) as bytes; null for what is no id."""
    return pa.array([bytes.fromhex(one) if _IS_HASH.fullmatch(one) else None for one in ids], HASH)
