"""What DAGs are configured with, where no DAG is needed to see it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.orchestration import dag_config, notices
from hopchain_etl.settings import Settings
from hopchain_etl.stages.resources import RESOURCES
from support.other_package import install

CALL = """
from types import SimpleNamespace
from hopchain_etl.orchestration.notices import notify_failure
task = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3, try_number=2)
notify_failure("pager")({"ti": task, "exception": ValueError("no such thing")})
print("still here")
"""


def test_retries_come_from_the_settings() -> None:
    settings = Settings.model_validate({"orchestrate": {"retries": 7, "retry_delay_seconds": 90}})
    args = dag_config.default_args(settings)
    assert (args["retries"], args["retry_delay"]) == (7, timedelta(seconds=90))
    assert "on_failure_callback" not in args


@pytest.mark.airflow
@pytest.mark.parametrize(
    "connection", [{"conn_type": "http", "host": "http://127.0.0.1:9"}, None], ids=["refused", "unknown"]
)
def test_a_webhook_that_is_down_does_not_hide_the_failure(tmp_path: Path, connection: dict[str, str] | None) -> None:
    env = {"AIRFLOW_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", "PATH": ""}
    if connection:
        env["AIRFLOW_CONN_PAGER"] = json.dumps(connection)
    done = subprocess.run([sys.executable, "-c", CALL], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "still here" in done.stdout
    assert "was not posted to Airflow Connection 'pager'" in done.stdout + done.stderr


def test_a_failure_is_told_in_small_json() -> None:
    class Task:
        dag_id, run_id, task_id, map_index, try_number = "d", "r", "t", 3, 2
        log_url = "http://airflow/log"

    told = notices.failure({"ti": Task(), "exception": ValueError("x" * 5_000)})
    assert len(json.dumps(told)) < 1_000
    assert told.pop("error").startswith("ValueError: xxx")
    assert told == {"dag": "d", "run": "r", "task": "t", "map_index": 3, "try": 2, "log": "http://airflow/log"}
    assert notices.failure({"ti": Task()})["error"] is None


# --- where stages run ---

STAGES = sorted(RESOURCES)
ENDPOINT = {"endpoint_url": "http://models:8000/v1"}


def placed(stage: str, executor: str, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    return dag_config.placement(stage, Settings.model_validate(changed))


def test_every_stage_that_the_dags_run_says_what_it_needs() -> None:
    others = {"ingest", "collect", "evaluate"}
    in_dags = {*others, *dag_config.stages(Settings.model_validate({"engines": {"profile": "vllm"}}))}
    assert in_dags == set(STAGES)


@pytest.mark.parametrize("profile", ["local", "labels"])
@pytest.mark.parametrize("stage", STAGES)
def test_such_a_profile_needs_no_gpu_anywhere(stage: str, profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed(stage, "KubernetesExecutor,CeleryExecutor", monkeypatch, engines={"profile": profile})
    assert place["queue"] == "default"
    (container,) = place["executor_config"]["pod_override"].spec.containers
    assert list(container.resources.limits) == ["memory"]
    assert "executor" not in place


@pytest.mark.parametrize("stage", STAGES)
def test_with_endpoints_only_what_computes_on_a_gpu_asks_for_one(stage: str) -> None:
    settings = Settings.model_validate({"engines": {"profile": "vllm"}, "vlm": ENDPOINT, "solver": ENDPOINT})
    needs = dag_config.resources_for(stage, settings)
    assert (needs.pool, needs.memory_gib) == (RESOURCES[stage].pool, RESOURCES[stage].memory_gib)
    assert (needs.gpus > 0) == (stage == "segment") == (needs.queue == "gpu") == (needs.pool == "gpu")


def test_a_stage_that_launches_its_model_needs_the_gpus_of_that_model() -> None:
    launched = {"engines": {"profile": "vllm"}, "vlm": {"launch": {"tensor_parallel": 4}}}
    needs = dag_config.resources_for("detect", Settings.model_validate(launched))
    assert (needs.pool, needs.queue, needs.gpus, needs.memory_gib) == ("vlm", "gpu", 4, 64)
    assert dag_config.resources_for("ingest", Settings.model_validate(launched)).gpus == 0
    evaluated = {"evaluate": {"model": {"model": "trained", "launch": {"tensor_parallel": 2}}}}
    assert dag_config.resources_for("evaluate", Settings.model_validate(evaluated)).gpus == 2


def gpus_of(**chosen: Any) -> dict[str, int]:
    """The GPUs of each stage that needs any; models have no endpoint and four GPUs, the solver's two."""
    models = {"vlm": {"launch": {"tensor_parallel": 4}}, "solver": {"launch": {"tensor_parallel": 2}}}
    settings = Settings.model_validate({"engines": chosen, **models})
    found = {stage: dag_config.resources_for(stage, settings) for stage in STAGES}
    assert all((needs.queue == "gpu") == (needs.gpus > 0) for needs in found.values())
    return {stage: needs.gpus for stage, needs in found.items() if needs.gpus}


def test_gpus_follow_from_the_engines_of_each_stage() -> None:
    assert gpus_of(profile="sam3") == {"segment": 1}
    assert gpus_of(profile="sam3", detector="vlm") == {"detect": 4, "segment": 1}
    assert gpus_of(profile="vllm", author="program", judge="none") == {"detect": 4, "segment": 1, "screen": 2}
    assert gpus_of(detector="labels,vlm", segmenter="labels,sam3") == {"detect": 4, "segment": 1}
    assert gpus_of(author="program,vlm") == {"generate": 4}
    assert gpus_of(solver="vlm") == {"screen": 2}


def test_an_engine_of_another_package_gets_the_gpu_that_its_entry_wants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = 'EngineEntry(Role.DETECTOR, "toy", "toy:Toy", boxes=True, needs_gpu=True)'
    text = f"from hopchain_etl.engines.catalog import EngineEntry, Role\nTOY = {entry}\n"
    install(monkeypatch, tmp_path, "toy", text, "toy = toy:TOY")
    assert gpus_of(detector="toy") == {"detect": 1}
    needs = dag_config.resources_for("detect", Settings.model_validate({"engines": {"detector": "toy"}}))
    assert (needs.pool, needs.memory_gib) == ("vlm", 16)


def test_local_executor_gets_a_pool_and_nothing_it_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed("segment", "LocalExecutor", monkeypatch, engines={"profile": "vllm"})
    assert place == {"pool": "gpu", "pool_slots": 1}


def test_a_gpu_pod_asks_for_its_gpu_and_image(monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed(
        "segment", "KubernetesExecutor", monkeypatch,
        engines={"profile": "vllm"}, placement={"gpu_image": "registry/hopchain-gpu:1", "gpu_resource": "amd.com/gpu"},
    )  # fmt: skip
    assert "queue" not in place
    (container,) = place["executor_config"]["pod_override"].spec.containers
    assert (container.name, container.image) == ("base", "registry/hopchain-gpu:1")
    assert container.resources.limits == container.resources.requests == {"memory": "16Gi", "amd.com/gpu": "1"}


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
        "import sys; from hopchain_etl.orchestration import tasks; from hopchain_etl.settings import Settings; "
        "from hopchain_etl.pipeline.build import Build; "
        "Build(Settings()).lineage; "
        "print(sorted({'torch', 'vllm', 'transformers', 'sam3', 'onnxruntime', 'cv2'} & set(sys.modules)))"
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
