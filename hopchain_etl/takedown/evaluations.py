"""Erases photos from the evaluation runs that are kept in the lake."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.evaluation.answers import ANSWERS_FILE
from hopchain_etl.evaluation.lake_runs import PREFIX
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.takedown.photos import Plan


def erase_from_evaluations(lake: Lake, plan: Plan) -> int:
    """Remove the answers to the photos' questions from every run; return their number. No older version is left."""
    gone = pa.array(sorted(plan.queries), pa.string())
    removed = 0
    for name in lake.store.list_folders(PREFIX):
        key = f"{PREFIX}{name}/{ANSWERS_FILE}"
        try:
            rows = pq.read_table(io.BytesIO(lake.store.get(key)))
        except MissingObjectError:  # the first write of a run was cut off
            continue
        kept = rows.filter(pc.invert(pc.is_in(rows["item_id"], gone)))
        if kept.num_rows < rows.num_rows:
            sink = io.BytesIO()
            pq.write_table(kept, sink)
            lake.store.put(key, sink.getvalue())
            removed += rows.num_rows - kept.num_rows
        lake.store.erase([key], keep_current=True)
    return removed
