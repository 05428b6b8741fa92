"""Views, which repeat what other objects say: erases those that hold a photo, and finds those of dead lineages.

A view that is lost is made anew by its next reader, which costs time: of all listings, or of all shards. So the others
stay.
"""

from __future__ import annotations

import io
import re
from collections.abc import Container

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.concurrency import batched
from hopchain_etl.lake.lake import Lake
from hopchain_etl.takedown.photos import Plan
from hopchain_etl.takedown.tables import purge

_HASHES_ONLY = "seen/"
_LISTINGS = "intakes/"  # names the parts of listings, of which an erase writes new ones
_OF_LINEAGE = re.compile(r"(?P<table>queries|rejected-\w+)-(?P<fingerprint>[0-9a-f]{12})")
_NAMES_AT_ONCE = 1_000  # Arrow compiles no pattern of many thousand
_IS_HASH = re.compile(r"[0-9a-f]{64}")


def erase_views(lake: Lake, plan: Plan) -> None:
    """Erase the views that name any of the photos or may do so, and older versions of all.

    The view of what was listed (``seen``) has hashes only, the same as the tombstones, and stays.
    """
    erase_views_naming(lake, {*plan.images, *plan.blobs, *plan.queries, *(uri for uri, _ in plan.sources)})


def erase_views_naming(lake: Lake, names: set[str]) -> None:
    """Do the same for any names; the listings of intakes go in any case."""

    def unwanted(name: str) -> bool:
        if name.startswith((_LISTINGS, _HASHES_ONLY)):
            return name.startswith(_LISTINGS)
        return _names_any(lake.store.get(f"views/{name}"), names)

    purge(lake.store, "views/", unwanted)


def views_of_dead_lineages(lake: Lake, dead: Container[tuple[str, str]]) -> dict[str, int]:
    """Return key and size of each view of a table and fingerprint that is ``dead``, or of which nothing is left."""
    alive = {(table, one) for table in ("queries", "judgements", "attempts") for one in lake.fingerprints(table)}
    found = {}
    for entry in lake.store.list_objects("views/"):
        if match := _OF_LINEAGE.fullmatch(entry.key.split("/")[1]):
            place = match["table"].removeprefix("rejected-"), match["fingerprint"]
            if place in dead or place not in alive:
                found[entry.key] = entry.size
    return found


def _names_any(data: bytes, names: set[str]) -> bool:
    """Return whether a view's file names any of these, as text anywhere or as a hash; also if that cannot be told."""
    try:
        rows = pq.read_table(io.BytesIO(data))
    except (pa.ArrowInvalid, OSError):
        return True
    sources = (rows.schema.metadata or {}).get(b"sources", b"").decode()
    for group in batched(sorted(names), _NAMES_AT_ONCE):
        pattern = "|".join(map(re.escape, group))
        hashes = [bytes.fromhex(name) for name in group if _IS_HASH.fullmatch(name)]
        if re.search(pattern, sources) or any(_column_names_any(column, pattern, hashes) for column in rows.columns):
            return True
    return False


def _column_names_any(column: pa.ChunkedArray, pattern: str, hashes: list[bytes]) -> bool:
    if pa.types.is_list(column.type):
        return _column_names_any(pc.list_flatten(column), pattern, hashes)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())
    if column.type == pa.binary(32):
        return bool(pc.any(pc.is_in(column, value_set=pa.array(hashes, column.type))).as_py())
    readable = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return not any(is_kind(column.type) for is_kind in readable)  # bytes in a form of their own
