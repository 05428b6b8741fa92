"""The report of a real build, as the page that people open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.hops.query import Hop, Read, Relation, hop_to_row
from hopchain_etl.reporting.report import write_report
from support import drawn_lake
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import toy_engines

pytestmark = pytest.mark.s3


def test_hops_are_told_in_words_and_never_as_markup(bucket: Any, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(1))
    _, build = night(settings, "first", toy_engines(tmp_path / "calls"))
    (shard,) = build.lake.completed_shards("queries", build.lineage)
    query = build.lake.read("queries", build.lineage, shard).to_pylist()[0]
    hops = (
        Hop((), "candle", Relation.RIGHT_OF),
        Hop((), "man", Relation.NEAREST, "h1", Read.PRESENT, "a hat", value=False),
        Hop((), "<i>cup</i>", Relation.BEHIND, "h2", Read.TEXT, value="<script>"),
    )
    confirmed = [{"by": "code", "looks": 0}, {"by": "eyes", "looks": 2}, {"by": "nobody", "looks": 0}]
    told = {**query, "hops": [hop_to_row(hop) for hop in hops], "n_hops": 3, "confirmed_by": confirmed}
    old = {**query, "query_id": "0" * 64, "confirmed_by": None}
    drawn_lake.write(build.lake, "queries", build.lineage, shard, [told, old])

    page = " ".join(write_report(build).split())
    assert "the rightmost candle <" in page
    assert "leads to the next hop" in page
    assert "the man nearest to h1 <" in page
    assert "can this be seen on it: a hat? <b>no</b>" in page
    assert "the &lt;i&gt;cup&lt;/i&gt; behind h2 <" in page
    for by in ("code", "eyes (2 of 2 looks)", "nobody"):
        assert page.count(f"· confirmed by {by}<") == 1
    assert page.count("who confirmed it is not recorded<") == query["n_hops"]
    assert "<i>cup" not in page
    assert "<script>" not in page
