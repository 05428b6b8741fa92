"""Without Ray: what is set, where models are then launched, and what is said. With Ray: ``tests/suites/engines``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from pydantic import ValidationError

from hopchain_etl.doctor import ray_cluster
from hopchain_etl.engines import ray_actors
from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.factory import create_engines
from hopchain_etl.engines.vlm.connection import connect
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import LaunchedBy, RaySettings, Settings
from support.listed_sam3 import job

ENDPOINT = {"endpoint_url": "http://models:8000/v1"}


def on_ray(**changed: Any) -> Settings:
    ray = {"address": "ray://head:10001", "sam3_actors": 3, "sam3_gpus": 0.5}
    return Settings.model_validate({"engines": {"profile": "vllm", "launch": "ray", "ray": ray}, **changed})


def test_models_without_an_endpoint_know_their_cluster() -> None:
    settings = on_ray(solver=ENDPOINT, evaluate={"model": {"model": "trained"}})
    assert settings.vlm.ray == settings.evaluate.model.ray == settings.engines.ray
    assert settings.engines.ray.address == "ray://head:10001"
    assert settings.solver.ray is None
    launched = [settings.vlm, settings.solver, settings.evaluate.model]
    assert not any(model.is_launched_by_task for model in launched)
    again = Settings.model_validate_json(settings.model_dump_json())
    assert again.vlm.ray == settings.vlm.ray, "as in another process"
    assert Settings().vlm.is_launched_by_task
    assert Settings(vlm=settings.vlm).vlm.is_launched_by_task, "engines.launch decides"
    assert settings.vlm.launch.tensor_parallel == Settings().vlm.launch.tensor_parallel


@pytest.mark.parametrize("address", ["head", "local", "http://head:8265", "head:port"])
def test_an_address_that_ray_would_take_for_something_else_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="ray"):
        on_ray(engines={"launch": "ray", "ray": {"address": address}})


def test_fingerprints_do_not_depend_on_who_holds_the_models() -> None:
    task = Settings(engines={"profile": "vllm"})
    assert on_ray().engines.launch is LaunchedBy.RAY
    assert Build(on_ray()).lineage == Build(task).lineage
    assert type(create_engines(on_ray()).segmenter).__name__ == "RaySam3Segmenter"
    assert create_engines(on_ray()).segmenter.identity == create_engines(task).segmenter.identity


def test_doctor_counts_the_gpus_of_all_models() -> None:
    settings = on_ray(solver=ENDPOINT)
    assert ray_cluster._gpus(settings) == {"sam3": 1.5, "vlm": 8}
    assert list(ray_cluster.cluster(Settings(engines={"profile": "vllm"}))) == []
    assert list(ray_cluster.cluster(on_ray(engines={"profile": "local", "launch": "ray"}))) == []


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_remedy_is_named() -> None:
    settings = on_ray()
    remedy = r"Ray is not installed where this runs; pip install 'hopchain-etl\[ray\]'"
    with pytest.raises(EngineDownError, match=remedy):
        ray_actors.connect(RaySettings())
    with pytest.raises(EngineDownError, match=remedy):
        list(create_engines(settings).segmenter.segment([job(["dog"])]))
    with pytest.raises(EngineDownError, match=remedy):
        connect(settings.vlm)
    (finding,) = ray_cluster.cluster(settings)
    assert (finding.state, "pip install" in finding.remedy) == ("missing", True)
