"""Plans and runs: what is given up is no work, and a bad shard does not stop the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.shard_errors import ShardsRejectedError
from hopchain_etl.quality.validator import QualityError, SuiteResult
from hopchain_etl.settings import Settings
from support.s3 import S3Location
from support.toy_build import call_lines, night, put_photos, settings_at
from support.toy_engines import ToySegmenter, passing, toy_engines

pytestmark = pytest.mark.s3


def test_a_shard_with_only_given_up_rows_is_planned_on_request_only(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(5))
    engines, calls = toy_engines(tmp_path / "calls"), tmp_path / "refused"
    refusing = replace(engines, segmenter=ToySegmenter(calls, lambda sha: sha < "8", permanently=True))
    planned = []
    for number in range(4):
        planned.append(Build(settings, engines=refusing, validate=passing).plan("new") if number else None)
        _, build = night(settings, f"night-{number}", refusing)
    shard = Shard("night-0", 0)
    assert planned == [None, [shard], [shard], []], "planned for three attempts, then no more"
    marker = build.lake.marker("instances", build.steps["segment"].fingerprint, shard)
    assert marker is not None
    assert (marker.failed, marker.quarantined) == (0, len(marker.attempts))
    assert marker.quarantined > 0
    asked = len(call_lines(calls))

    again = Build(settings, engines=engines, validate=passing, retry_quarantined=True)
    assert again.plan("new") == [shard]
    for name in again.steps:
        assert again.run_each(name, [shard]) == 1
    healed = again.lake.marker("instances", again.steps["segment"].fingerprint, shard)
    assert healed is not None
    assert (healed.ok, healed.failed, healed.quarantined, healed.attempts) == (5, 0, 0, {})
    assert again.plan("new") == []
    assert len(call_lines(calls)) == asked


def test_a_bad_shard_does_not_stop_the_others_and_what_hangs_on_it_waits(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"shard_size": 2})})
    put_photos(settings.source, range(6))
    engines = toy_engines(tmp_path / "calls")
    assert len(Build(settings, engines=engines, validate=passing).ingest("first").shards) == 3
    (first, bad, last) = shards = [Shard("first", index) for index in range(3)]
    spoilt = set(Build(settings, engines=engines).lake.read("images", None, bad)["image_id"].to_pylist())

    def strict(table: str, rows: pa.Table) -> SuiteResult:
        if table == "instances" and spoilt & set(rows["image_id"].to_pylist()):
            raise QualityError("masks will not do")
        return passing(table, rows)

    build = Build(settings, engines=engines, validate=strict)
    assert build.run_each("detect", shards) == 3
    with pytest.raises(ShardsRejectedError, match=r"1 of the shards failed.*\n  first/0001: masks will not do"):
        build.run_each("segment", shards)
    assert build.run_each("generate", shards) == 2, "the bad shard waits"
    assert build.lake.completed_shards("queries", build.lineage) == [first, last]
    assert build.plan("all") == [bad]


def test_a_stage_without_an_engine_says_which_setting_names_one() -> None:
    with pytest.raises(
        ValueError, match=r"profile 'local' has no engine for 'screen'; .*; set HOPCHAIN_ENGINES__SOLVER"
    ):
        Build(Settings()).run("screen", Shard("first", 0))
