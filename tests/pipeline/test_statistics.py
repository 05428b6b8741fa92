"""A build's figures are those of its shards, whatever else the lake holds, and tell of no single photo."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline import statistics
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.statistics import BuildStatistics, build_statistics
from support.s3 import S3Location
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import toy_engines

pytestmark = pytest.mark.s3


def figures(build: Build, run: str, shards: list[Shard]) -> BuildStatistics:
    markers = {
        name: {shard: build.lake.markers(step.stage.table, step.fingerprint)[shard] for shard in shards}
        for name, step in build.steps.items()
    }
    return build_statistics(build, run, shards, markers)


def test_figures_are_of_the_runs_own_shards(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    engines = toy_engines(tmp_path / "calls")
    put_photos(settings.source, range(5))
    night(settings, "first", engines)
    put_photos(settings.source, range(5, 8))
    _, build = night(settings, "second", engines)
    shards = [Shard("second", 0)]
    made = figures(build, "second", shards)
    generate = build.steps["generate"]
    queries = build.lake.read("queries", generate.fingerprint, shards[0])
    assert made.rates["questions a photo"] == (queries.num_rows, 3)
    assert sum(made.mixes["answers"].values()) == queries.num_rows > 0
    assert made.shares["detect: rejected"] == (0, 3)
    assert made.lineage == build.lineage
    folder = build.lake.folder("queries", generate.fingerprint, shards[0])
    assert made.rates["tokens a question"][0] >= build.lake.get_json(folder + "stats.json")["tokens"]


def test_a_rare_category_is_not_named(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(6))
    _, build = night(settings, "first", toy_engines(tmp_path / "calls"))
    shard = Shard("first", 0)
    counts = Counter(build.lake.read("instances", build.steps["segment"].fingerprint, shard)["category"].to_pylist())
    assert counts
    named = figures(build, "first", [shard]).mixes["categories"]
    assert sum(named.values()) == sum(counts.values())
    assert named.keys() - {"other"} == {name for name, count in counts.items() if count >= 5}


def test_the_last_builds_are_kept(bucket: S3Location) -> None:
    build = Build(settings_at(bucket.bucket, bucket.endpoint_url))
    assert statistics.recent(build.lake) == []
    nights = [BuildStatistics(f"night-{number}", None, rates={"questions a photo": (number, 3)}) for number in range(5)]
    statistics.remember(build.lake, nights, 3)
    assert statistics.recent(build.lake) == nights[2:]
