"""What DAGs are configured with, where no DAG is needed to see it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Settings
from hopchain_etl.stages.resources import RESOURCES
from support.other_package import install


def test_retries_come_from_the_settings() -> None:
    settings = Settings.model_validate({"orchestrate": {"retries": 7, "retry_delay_seconds": 90}})
    args = dag_config.default_args(settings)
    assert (args["retries"], args["retry_delay"]) == (7, timedelta(seconds=90))
    assert "on_failure_callback" not in args


@pytest.mark.parametrize("cron", ["0 25 * * *", "daily", "0 2 * *"])
def test_a_wrong_schedule_is_named_with_its_setting(cron: str) -> None:
    settings = Settings.model_validate({"orchestrate": {"collect_schedule": cron}})
    with pytest.raises(ValueError, match=re.escape(f"HOPCHAIN_ORCHESTRATE__COLLECT_SCHEDULE={cron!r} is no cron")):
        dag_config.timetable(settings, "collect_schedule")
    assert dag_config.timetable(settings, "schedule").expression == "0 2 * * *"
    assert dag_config.timetable(settings, "release_schedule") is None


# --- where stages run ---

STAGES = sorted(RESOURCES)
ENDPOINT = {"endpoint_url": "http://models:8000/v1"}


def placed(stage: str, executor: str, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    return dag_config.placement(stage, Settings.model_validate(changed))


def test_every_stage_that_the_dags_run_says_what_it_needs() -> None:
    dags = {"build", "collect", "release", "evaluate", "admin"}
    in_dags = {"ingest", *dags, *dag_config.stages(Settings.model_validate({"engines": {"profile": "vllm"}}))}
    assert in_dags == set(STAGES)


@pytest.mark.parametrize("profile", ["local", "labels"])
@pytest.mark.parametrize("stage", STAGES)
def test_such_a_profile_needs_no_gpu_anywhere(stage: str, profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed(stage, "KubernetesExecutor,CeleryExecutor", monkeypatch, engines={"profile": profile})
    (container,) = place["executor_config"]["pod_override"].spec.containers
    assert list(container.resources.limits) == ["memory"]
    assert place["pool"] == "default_pool"
    assert {"executor", "queue"} & place.keys() == set()


@pytest.mark.parametrize("stage", STAGES)
def test_with_endpoints_only_what_computes_on_a_gpu_asks_for_one(stage: str) -> None:
    settings = Settings.model_validate({"engines": {"profile": "vllm"}, "vlm": ENDPOINT, "solver": ENDPOINT})
    needs = dag_config.resources_for(stage, settings)
    assert (needs.gpus, needs.memory_gib) == ((1, 16) if stage == "segment" else (0, RESOURCES[stage].memory_gib))
    asks = stage in ("detect", "generate", "judge", "screen")
    assert dag_config.pool(stage, settings) == ("gpu" if stage == "segment" else "vlm" if asks else "default_pool")


def test_a_stage_that_launches_its_model_needs_the_gpus_of_that_model() -> None:
    launched = {"engines": {"profile": "vllm"}, "vlm": {"launch": {"tensor_parallel": 4}}}
    needs = dag_config.resources_for("detect", Settings.model_validate(launched))
    assert (needs.gpus, needs.memory_gib) == (4, 64)
    assert dag_config.pool("detect", Settings.model_validate(launched)) == "vlm"
    assert dag_config.resources_for("ingest", Settings.model_validate(launched)).gpus == 0
    evaluated = {"evaluate": {"model": {"model": "trained", "launch": {"tensor_parallel": 2}}}}
    assert dag_config.resources_for("evaluate", Settings.model_validate(evaluated)).gpus == 2


def gpus_of(**chosen: Any) -> dict[str, int]:
    """The GPUs of each stage that needs any; models have no endpoint and four GPUs, the solver's two."""
    models = {"vlm": {"launch": {"tensor_parallel": 4}}, "solver": {"launch": {"tensor_parallel": 2}}}
    settings = Settings.model_validate({"engines": chosen, **models})
    found = {stage: dag_config.resources_for(stage, settings) for stage in STAGES}
    return {stage: needs.gpus for stage, needs in found.items() if needs.gpus}


def test_gpus_follow_from_the_engines_of_each_stage() -> None:
    assert gpus_of(profile="sam3") == {"segment": 1}
    assert gpus_of(profile="sam3", detector="vlm") == {"detect": 4, "segment": 1}
    assert gpus_of(profile="vllm", author="program", judge="none") == {"detect": 4, "segment": 1, "screen": 2}
    assert gpus_of(detector="labels,vlm", segmenter="labels,sam3") == {"detect": 4, "segment": 1}
    assert gpus_of(author="program,vlm") == {"generate": 4}
    assert gpus_of(solver="vlm") == {"screen": 2}
    assert gpus_of(profile="vllm", launch="ray") == {}, "the cluster has them"


def test_an_engine_of_another_package_gets_the_gpu_that_its_entry_wants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = 'EngineEntry(Role.DETECTOR, "toy", "toy:Toy", boxes=True, needs_gpu=True)'
    text = f"from hopchain_etl.engines.catalog import EngineEntry, Role\nTOY = {entry}\n"
    install(monkeypatch, tmp_path, "toy", text, "toy = toy:TOY")
    assert gpus_of(detector="toy") == {"detect": 1}
    settings = Settings.model_validate({"engines": {"detector": "toy"}})
    assert dag_config.resources_for("detect", settings).memory_gib == 16
    assert dag_config.pool("detect", settings) == "gpu"


def test_local_executor_gets_a_pool_and_nothing_it_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed("segment", "LocalExecutor", monkeypatch, engines={"profile": "vllm"})
    assert place == {"pool": "gpu", "priority_weight": 3}


def test_queues_and_pools_are_those_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    site = {"queue": "hop", "gpu_queue": "a100", "pool": "hop_pool", "gpu_pool": "hop_gpu", "vlm_pool": "hop_vlm"}
    changed = {"engines": {"profile": "vllm"}, "vlm": ENDPOINT, "placement": site}
    found = {name: placed(name, "CeleryExecutor", monkeypatch, **changed) for name in ("build", "detect", "segment")}
    assert {name: (place["queue"], place["pool"]) for name, place in found.items()} == {
        "build": ("hop", "hop_pool"),
        "detect": ("hop", "hop_vlm"),
        "segment": ("a100", "hop_gpu"),
    }


def test_where_no_queue_is_named_airflow_takes_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "queue" not in placed("ingest", "CeleryExecutor", monkeypatch)


def test_later_stages_go_first() -> None:
    settings = Settings.model_validate({"engines": {"profile": "vllm"}})
    weights = [dag_config.placement(stage, settings)["priority_weight"] for stage in dag_config.stages(settings)]
    assert weights == sorted(set(weights))
    assert dag_config.placement("ingest", settings)["priority_weight"] < weights[0]


def test_gpu_stages_may_have_an_executor_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"engines": {"profile": "vllm"}, "vlm": ENDPOINT, "placement": {"gpu_executor": "KubernetesExecutor"}}
    both = "CeleryExecutor,KubernetesExecutor"
    segment = placed("segment", both, monkeypatch, **changed)
    assert (segment["executor"], "queue" in segment, "executor_config" in segment) == (
        "KubernetesExecutor",
        False,
        True,
    )
    assert "executor" not in placed("detect", both, monkeypatch, **changed)


def test_planning_loads_no_gpu_library() -> None:
    code = (
        "import sys; from hopchain_etl.orchestration import build; from hopchain_etl.settings import Settings; "
        "from hopchain_etl.pipeline.build import Build; "
        "Build(Settings()).lineage; "
        "print(sorted({'torch', 'vllm', 'transformers', 'sam3', 'onnxruntime', 'cv2', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_who_asks_a_model_loads_an_http_client() -> None:
    code = (
        "import sys, hopchain_etl.cli; from hopchain_etl.orchestration import dag_config; "
        "from hopchain_etl.settings import Settings; "
        "dag_config.stages(Settings.model_validate({'engines': {'profile': 'vllm'}})); "
        "print('aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_shard_is_screened_only_where_a_model_can() -> None:
    local = dag_config.stages(Settings())
    vllm = dag_config.stages(Settings.model_validate({"engines": {"profile": "vllm"}}))
    assert list(local) == ["detect", "segment", "generate"]
    assert list(vllm) == [*local, "judge", "screen"]
    for role, stage in (("judge", "judge"), ("solver", "screen")):
        assert list(dag_config.stages(Settings.model_validate({"engines": {role: "vlm"}}))) == [*local, stage]


def test_a_dag_file_of_another_version_says_what_to_do() -> None:
    with pytest.raises(ImportError, match=r"belongs to hopchain-etl 9\.9\.0, .*hopchain where dags"):
        dag_config.dag_args(Settings(), "build", "9.9.0")


@pytest.mark.airflow
def test_a_model_that_tasks_launch_is_loaded_for_many_shards_together() -> None:
    vllm = {"engines": {"profile": "vllm"}, "placement": {"launches": 3}}
    served = {"vlm": {"endpoint_url": "http://models:8000/v1"}, "solver": {"endpoint_url": "http://models:8001/v1"}}
    assert dag_config.max_mapped(Settings.model_validate(vllm)) == 3
    assert dag_config.max_mapped(Settings.model_validate({**vllm, **served})) == 256
    on_ray = {"engines": {"profile": "vllm", "launch": "ray"}}
    assert dag_config.max_mapped(Settings.model_validate(on_ray)) == 256
    assert dag_config.max_mapped(Settings()) == 256
