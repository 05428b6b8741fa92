"""What launches of model servers cost: recorded by builds, and beside the work in ``estimate`` and ``doctor``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.doctor.models import launch_cost
from hopchain_etl.engines.base import DetectJob, Reply
from hopchain_etl.engines.launches import Launch
from hopchain_etl.engines.vlm.server import endpoint_of
from hopchain_etl.lake.lake import Lake
from hopchain_etl.pipeline.estimate import estimate
from hopchain_etl.pipeline.launches import START_SECONDS, launch_costs, recorded_launches
from hopchain_etl.settings import EngineSettings, LaunchSettings, Profile, S3Settings, Settings, VlmSettings
from support import stand_in_server
from support.command_line import environment
from support.s3 import S3Location
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToyDetector, toy_engines


class Launching(ToyDetector):
    """Waits for a server that it launches, as an engine of a model does, and pays for each photo."""

    def __init__(self, calls: Path, model: VlmSettings) -> None:
        super().__init__(calls)
        self._model = model

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        endpoint_of(self._model)
        for reply in super().detect(jobs):
            yield dataclasses.replace(reply, tokens=10)


def with_models(settings: Settings, **models: VlmSettings) -> Settings:
    return settings.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM), **models})


@pytest.mark.s3
def test_builds_record_launches_apart_from_the_work(bucket: S3Location, tmp_path: Path) -> None:
    model = stand_in_server.settings_of(tmp_path)
    settings = with_models(settings_at(bucket.bucket, bucket.endpoint_url), vlm=model)
    engines = dataclasses.replace(toy_engines(tmp_path / "calls"), detector=Launching(tmp_path / "calls", model))
    put_photos(settings.source, range(8))  # in two shards, whose tasks are one process here
    with stand_in_server.all_stopped():
        _, build = night(settings, "first", engines)
    (launched,) = recorded_launches(build.lake)
    assert (launched.model, launched.gpus) == ("org/some", 8)

    step = build.steps["detect"]
    shards = build.lake.completed_shards("categories", step.fingerprint)
    keys = [build.lake.folder("categories", step.fingerprint, shard) + "stats.json" for shard in shards]
    stats = [build.lake.get_json(key) for key in keys]
    assert [one["launch_seconds"] for one in stats] == [launched.seconds, 0]
    assert stats[0]["seconds"] >= launched.seconds

    build.lake.put_json(keys[0], {**stats[0], "seconds": 3_602.0, "launch_seconds": 3_600.0})
    build.lake.put_json(keys[1], {**stats[1], "seconds": 2.0})
    (detect, *_) = estimate(build, 8, gpus=1)
    assert detect.gpu_hours == pytest.approx(4 / 3_600)


def test_each_stage_launches_what_has_no_endpoint() -> None:
    served = VlmSettings(endpoint_url="http://127.0.0.1:9/v1")
    launched = Settings(engines=EngineSettings(profile=Profile.VLLM), solver=served)
    costs = launch_costs(launched, [])
    assert {(cost.stage, cost.model) for cost in costs} == {("detect", "vlm"), ("generate", "vlm"), ("judge", "vlm")}
    assert [(cost.launches(1), cost.launches(100)) for cost in costs] == [(1, 2)] * 3
    assert launch_costs(with_models(launched, vlm=served, solver=served), []) == []
    assert launch_costs(Settings(engines=EngineSettings(profile=Profile.VLLM, launch="ray")), []) == []


def seconds(model: str, recorded: Iterable[Launch] = (), gpus: int = 4) -> float:
    settings = with_models(Settings(), vlm=VlmSettings(model=model, launch=LaunchSettings(tensor_parallel=gpus)))
    return next(cost.seconds for cost in launch_costs(settings, list(recorded)) if cost.model == "vlm")


@pytest.mark.parametrize(
    ("model", "gigabytes"),
    [
        ("Qwen/Qwen3-VL-235B-A22B-Thinking", 470),  # all experts are loaded
        ("Qwen/Qwen3-VL-235B-A22B-Thinking-FP8", 235),
        ("org/some-7b-awq", 3.5),
        ("org/v2.5b2/model", 60),  # says nothing of its size
    ],
)
def test_an_unknown_model_is_assumed_to_load_as_long_as_its_name_says(model: str, gigabytes: float) -> None:
    assert seconds(model) == START_SECONDS + gigabytes


def test_recorded_launches_go_before_assumptions() -> None:
    recorded = [Launch("m", 4, 100.0), Launch("m", 4, 130.0), Launch("m", 4, 900.0), Launch("m", 8, 1.0)]
    assert seconds("m", recorded) == 130
    assert seconds("other", recorded) != 130


@pytest.mark.s3
def test_estimate_and_doctor_tell_it(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"HOPCHAIN_ENGINES__PROFILE": "vllm", "HOPCHAIN_SOLVER__ENDPOINT_URL": "http://127.0.0.1:9/v1"}
    for name, value in {**environment(bucket), **chosen}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    Lake(settings.lake).put_json(
        "statistics/launches.json", [{"model": settings.vlm.model, "gpus": 8, "seconds": 450.0}]
    )

    def told(*options: str) -> Any:
        shown = CliRunner().invoke(app, ["estimate", "--images", "1280", *options])
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    launches = json.loads(told("--json"))["launches"]
    assert [(one["stage"], one["launches"], one["gpu_hours"]) for one in launches] == [
        (stage, 2, 2.0) for stage in ("detect", "generate", "judge")
    ]
    nights = json.loads(told("--json", "--runs", "20"))["launches"]  # one shard a night
    assert [one["launches"] for one in nights] == [20, 20, 20]
    text = " ".join(told("--runs", "20").split())
    assert "Launching takes 60.0 GPU hours" in text
    assert "started once a run, would take 20.0" in text

    found = launch_cost("vlm", settings)
    assert "3,600 GPU seconds (measured: the median of 1); up to 6 a run" in found.detail
    assert "21,600 GPU seconds" in found.detail
    nowhere = S3Settings(uri="s3://none/lake", endpoint_url="http://127.0.0.1:9", path_style=True)
    assert "assumed" in launch_cost("vlm", settings.model_copy(update={"lake": nowhere})).detail
