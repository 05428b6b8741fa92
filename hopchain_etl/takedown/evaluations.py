"""Erases photos from the evaluation runs that are kept in the lake, and from the wrong answers that people look at."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.annotation import error_reviews
from hopchain_etl.evaluation.answers import ANSWERS_FILE
from hopchain_etl.evaluation.lake_runs import PREFIX
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.takedown.photos import Plan, hash_of, strings


def erase_from_evaluations(lake: Lake, plan: Plan) -> int:
    """Remove the answers to the photos' questions from every run; return their number. No older version is left.

    Answers about other photos stay; where these are near-duplicates that are grouped under the name of one of the
    photos, the group is named anew, as in the lake's tables.
    """
    gone = strings(plan.queries)
    removed = 0
    for name in lake.store.list_folders(PREFIX):
        key = f"{PREFIX}{name}/{ANSWERS_FILE}"
        try:
            rows = pq.read_table(io.BytesIO(lake.store.get(key)))
        except MissingObjectError:  # the first write of a run was cut off
            continue
        kept = _regrouped(rows.filter(pc.invert(pc.is_in(rows["item_id"], gone))), plan)
        if not kept.equals(rows):
            sink = io.BytesIO()
            pq.write_table(kept, sink)
            lake.store.put(key, sink.getvalue())
            removed += rows.num_rows - kept.num_rows
        lake.store.erase([key], keep_current=True)
    return removed


def _regrouped(rows: pa.Table, plan: Plan) -> pa.Table:
    """Return answers whose groups of near-duplicates are not named after the photos any more."""
    if not pc.any(pc.is_in(rows["cluster"], strings(plan.images))).as_py():
        return rows
    names = [hash_of(name) if name in plan.images else name for name in rows["cluster"].to_pylist()]
    place = rows.schema.get_field_index("cluster")
    return rows.set_column(place, rows.schema.field(place), pa.array(names, rows.schema.field(place).type))


def erase_reviews(lake: Lake, plan: Plan) -> int:
    """Erase wrong answers about the photos from the desk, with what people said of them; return their number."""
    return error_reviews.erase(lake, frozenset(f"blobs/{blob}" for blob in plan.blobs))
