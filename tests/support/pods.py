"""Pods of tasks, made as Airflow's KubernetesExecutor makes them: template, our override, and what Airflow adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hopchain_etl.orchestration import dag_config, pods
from hopchain_etl.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
TEMPLATES = DEPLOY / "kubernetes" / "pods"
ENDPOINT = {"endpoint_url": "http://models:8000/v1"}
# Settings that lead to different pods.
SETTINGS: dict[str, dict[str, Any]] = {
    "local": {},
    "vllm with servers": {"engines": {"profile": "vllm"}, "vlm": ENDPOINT, "solver": ENDPOINT},
    "vllm launched": {"engines": {"profile": "vllm"}, "vlm": {"launch": {"tensor_parallel": 8}}},
    "other GPUs": {"engines": {"profile": "sam3"}, "placement": {"gpu_resource": "amd.com/gpu"}},
    "own requests": {
        "placement": {"pods": {"segment": {"requests": {"memory": "6Gi", "cpu": "500m"}}, "cpu": {"image": "core:2"}}}
    },
}
PLACED = {"pods": {kind: {"template": str(TEMPLATES / f"{kind}.yaml")} for kind in ("cpu", "gpu")}}


def with_templates(changed: dict[str, Any]) -> Settings:
    """Return settings of a site that uses the templates in deploy/."""
    own = changed.get("placement", {})
    named = {**PLACED["pods"]}
    for name, values in own.get("pods", {}).items():
        named[name] = {**named.get(name, {}), **values}
    return Settings.model_validate({**changed, "placement": {**own, "pods": named}})


def pod_of(name: str, settings: Settings) -> Any:
    """Return the V1Pod that the KubernetesExecutor would create for a task of a stage or DAG."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    config = pods.executor_config(name, dag_config.resources_for(name, settings), settings.placement)
    return PodGenerator.construct_pod(
        dag_id="hopchain_build", task_id=f"shards.{name}", pod_id=f"hopchain-{name}", try_number=1, kube_image="site:1",
        date=None, args=["python", "-m", "airflow.sdk.execution_time.execute_workload"], namespace="airflow",
        scheduler_job_id="1", pod_override_object=config["pod_override"],
        base_worker_pod=PodGenerator.deserialize_model_file(config["pod_template_file"]),
    )  # fmt: skip
