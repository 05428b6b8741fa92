"""Views after an erase and a garbage collection: what holds the photo goes, and what is dear to make anew stays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.annotation.eligibility import excluded_queries_of_lineage
from hopchain_etl.annotation.gold import Gold
from hopchain_etl.annotation.unasked import unassigned_queries
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.view import View
from hopchain_etl.takedown.gc import gc
from hopchain_etl.takedown.lake import erase
from hopchain_etl.takedown.photos import Plan
from hopchain_etl.takedown.views import erase_views
from support import drawn_lake, taken

pytestmark = pytest.mark.s3

NAME = "f" * 64


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def views(lake: Lake) -> set[str]:
    return {entry.key.split("/")[1] for entry in lake.store.list_objects("views/")}


def view(lake: Lake, name: str, value: Any, kind: pa.DataType, source: str = "a source") -> None:
    rows = pa.table({"value": pa.array([value], kind)})
    View(lake.store, name, rows.schema).rows({source: "1"}, lambda names: [(one, rows) for one in names])


HOLDS: list[Callable[[Lake], None]] = [
    lambda lake: view(lake, "v", NAME, pa.string()),
    lambda lake: view(lake, "v", f'{{"query_id": "{NAME}"}}', pa.string()),
    lambda lake: view(lake, "v", ["x", NAME], pa.list_(pa.string())),
    lambda lake: view(lake, "v", bytes.fromhex(NAME), pa.binary(32)),
    lambda lake: view(lake, "v", "x", pa.string(), source=f"gold/answers/x/{NAME}.json"),
    lambda lake: lake.store.put("views/v/base.parquet", b"no parquet"),
    lambda lake: view(lake, "v", "s3://a/(b).jpg", pa.string()),
    lambda lake: view(lake, "v", b"in a form of its own", pa.large_binary()),
]


@pytest.mark.parametrize("fill", HOLDS)
def test_whatever_way_a_view_names_the_photo_it_goes_and_the_others_stay(
    lake: Lake, fill: Callable[[Lake], None]
) -> None:
    view(lake, "other", "e" * 64, pa.string())
    view(lake, "another", b"e" * 32, pa.binary(32))
    view(lake, "numbers", 5, pa.int64())
    view(lake, "seen", b"e" * 16, pa.binary(16))
    fill(lake)
    erase_views(lake, Plan(queries={NAME}, sources={("s3://a/(b).jpg", "etag")}))
    assert views(lake) == {"another", "numbers", "other", "seen"}


def test_an_erase_leaves_views_that_do_not_hold_the_photo(lake: Lake) -> None:
    photo = taken.fill(lake)
    others, rows = drawn_lake.fill(lake, range(10, 12), intake="second", version="2")
    for lineage in (photo.prints.queries, others.queries):
        unassigned_queries(lake, lineage, excluded_queries_of_lineage(lake, lineage))
    Gold(lake).answers()
    assert {f"queries-{photo.prints.queries}", f"queries-{others.queries}", "asked", "gold-answers"} <= views(lake)
    erase(lake, photo.image, "asked")
    left = views(lake)
    assert f"queries-{others.queries}" in left
    assert not {f"queries-{photo.prints.queries}", "asked", "gold-answers"} & left
    mine = {bytes.fromhex(query) for query in photo.queries}
    assert not taken.traces(lake.store, mine)
    queries = unassigned_queries(lake, others.queries, excluded_queries_of_lineage(lake, others.queries))
    assert {one for ids in queries.values() for one in ids} == {row["query_id"] for row in rows}


def test_gc_collects_the_views_of_dead_lineages(lake: Lake) -> None:
    dead, _ = drawn_lake.fill(lake, range(1), version="1")
    kept, _ = drawn_lake.fill(lake, range(1), version="2")
    for name in (dead.queries, kept.queries, "0" * 12):  # of the last one nothing is left
        view(lake, f"queries-{name}", hashlib.sha256(name.encode()).digest(), pa.binary(32))
    view(lake, f"rejected-judgements-{'1' * 12}", "x", pa.string())
    view(lake, "asked", "x", pa.string())
    keep = dict.fromkeys(vars(kept).values(), "named")
    before = views(lake)
    assert f"views/queries-{dead.queries}/recent.parquet" in gc(lake, keep, grace_seconds=-60).keys
    assert views(lake) == before
    gc(lake, keep, dry_run=False, grace_seconds=timedelta(minutes=-1).total_seconds())
    assert views(lake) == {"asked", f"queries-{kept.queries}"}
