"""What became of single queries in releases: in which versions they are, and what the last selection said of them.

Nothing is selected anew. Versions never change, so the ids of each are read once and kept in a view; reasons come from
the verdicts that the last selection has kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.annotation.unasked import HASH, hashes_of
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.lake.view import View, each
from hopchain_etl.release.dvc_objects import lock_of, parts_of, rows_hash, rows_of
from hopchain_etl.release.git import working_clone
from hopchain_etl.release.places import Place
from hopchain_etl.release.selection_views import kept_verdicts
from hopchain_etl.release.versions import VERSION_TAG
from hopchain_etl.settings import Settings

RELEASED = pa.schema([("query_id", HASH)])


def released_queries(lake: Lake, settings: Settings) -> pa.Table:
    """Return the query ids (as bytes) of all versions that are not yanked, with the ``tag`` of each.

    Costs a clone of the registry, and a read of the rows of each new version. Raises RegistryError if the registry
    cannot be read, and StoreError or MissingObjectError if its remote cannot.
    """
    with working_clone(settings) as repo:
        remote = open_store(repo.remote)
        found = (VERSION_TAG.fullmatch(tag) for tag in repo.tags("training-set/*"))
        targets = {match[0]: match["target"] for match in found if match and not match["yanked"]}
        folders = {tag: rows_hash(lock_of(repo, tag), target, tag) for tag, target in targets.items()}

        def read(tag: str) -> pa.Table:
            rows = rows_of(remote, parts_of(remote, versions[tag]), ["query_id"])
            return pa.table([hashes_of(rows["query_id"].to_pylist())], schema=RELEASED)

        versions = {tag: md5 for tag, md5 in folders.items() if md5}
        return View(lake.store, "released-queries", RELEASED).rows(versions, each(read, 2), source="tag")


def versions_with(released: pa.Table, query_id: str) -> list[str]:
    """Return the tags of the versions that contain a query; ``released``: what ``released_queries`` has returned."""
    return sorted(released.filter(pc.equal(released["query_id"], hashes_of([query_id])[0]))["tag"].to_pylist())


def among(released: pa.Table, queries: Iterable[str]) -> set[str]:
    """Return those of the queries that are in any version."""
    queries = list(queries)
    known = pc.is_in(hashes_of(queries), value_set=released["query_id"].combine_chunks()).to_pylist()
    return {query for query, is_released in zip(queries, known, strict=True) if is_released}


def last_outcomes(lake: Lake, targets: Iterable[str], place: Place, row: int) -> Mapping[str, str]:
    """Return what the last selection for each target said of the query in a row of a shard: "released", or why not.

    The diversity limits come after that. A target without a selection of this shard is left out.
    """
    found = {}
    for target in targets:
        verdicts = kept_verdicts(lake.store, target, place)
        if verdicts is not None and row < verdicts.num_rows:
            found[target] = str(verdicts["outcome"][row])
    return found
