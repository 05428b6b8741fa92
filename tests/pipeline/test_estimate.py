"""Estimates come from what runs really cost, or say that they are assumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from hopchain_etl.engines.base import DetectJob, Reply
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.estimate import Assumptions, estimate
from hopchain_etl.settings import EngineSettings, Profile
from support.s3 import S3Location
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToyDetector, toy_engines

pytestmark = pytest.mark.s3


class Paid(ToyDetector):
    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        for reply in super().detect(jobs):
            yield dataclasses.replace(reply, tokens=1_000, seconds=2.0)


def test_costs_are_assumed_then_measured(bucket: S3Location, tmp_path: Path) -> None:
    plain = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = plain.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM)})
    engines = dataclasses.replace(toy_engines(tmp_path / "calls"), detector=Paid(tmp_path / "calls"))
    put_photos(settings.source, range(3))

    before = {cost.stage: cost for cost in estimate(Build(settings, engines=engines), 100, 8)}
    assert {cost.basis for cost in before.values()} == {"assumed"}
    assert before["segment"].gpu_hours == pytest.approx(100 / 3_600)
    tokens = settings.vlm.max_pixels // 1_024 + Assumptions().prompt_text + Assumptions().detect_answer
    assert before["detect"].tokens == 100 * tokens

    _, build = night(settings, "first", engines)
    after = {cost.stage: cost for cost in estimate(build, 100, 8)}
    assert after["detect"].basis == "measured over 3 images"
    assert after["detect"].tokens == 100_000
    assert 0 < after["detect"].gpu_hours < 1
    assert after["generate"].rows == 100


def test_what_the_journal_answered_tells_nothing_of_cost(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM)})
    engines = dataclasses.replace(toy_engines(tmp_path / "calls"), detector=Paid(tmp_path / "calls"))
    put_photos(settings.source, range(2))
    _, build = night(settings, "first", engines)
    shard = build.lake.completed_shards("images")[0]
    step = build.steps["detect"]
    key = build.lake.folder("categories", step.fingerprint, shard) + "stats.json"
    stats = build.lake.get_json(key)
    assert stats["rows_paid"] == 2
    assert stats["model_seconds"] == 4.0
    build.lake.put_json(key, {**stats, "rows_paid": 1, "seconds": 1e9})
    (detect, *_) = estimate(build, 10, 8)
    assert detect.basis == "assumed"
