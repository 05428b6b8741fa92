"""The pods that Airflow would create for tasks, from the templates in deploy/ and the settings."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import pytest

from hopchain_etl.orchestration import dag_config, pods
from hopchain_etl.settings import Settings
from hopchain_etl.stages.resources import RESOURCES
from support.pods import PLACED, SETTINGS, pod_of, with_templates

pytestmark = pytest.mark.airflow


def as_json(pod: Any) -> dict[str, Any]:
    from kubernetes.client import ApiClient

    found: dict[str, Any] = ApiClient().sanitize_for_serialization(pod)
    return found


def container_of(name: str, changed: dict[str, Any]) -> dict[str, Any]:
    (container,) = as_json(pod_of(name, with_templates(changed)))["spec"]["containers"]
    found: dict[str, Any] = container
    return found


@pytest.mark.parametrize("changed", SETTINGS.values(), ids=SETTINGS)
def test_pods_are_what_the_client_of_kubernetes_reads_back(changed: dict[str, Any]) -> None:
    from kubernetes.client import ApiClient

    class Reply:
        def __init__(self, data: str) -> None:
            self.data = data

    for name in RESOURCES:
        told = as_json(pod_of(name, with_templates(changed)))
        assert as_json(ApiClient().deserialize(Reply(json.dumps(told)), "V1Pod")) == told


def test_a_pod_that_launches_its_model_has_all_that_a_model_server_needs() -> None:
    settings = with_templates(SETTINGS["vllm launched"])
    spec = as_json(pod_of("detect", settings))["spec"]
    (container,) = spec["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "64Gi", "ephemeral-storage": "20Gi", "nvidia.com/gpu": "8"},
        "limits": {"memory": "64Gi", "nvidia.com/gpu": "8"},
    }
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    assert mounts["/weights"]["persistentVolumeClaim"]["claimName"] == "hopchain-weights"
    env = {one["name"]: one for one in container["env"]}
    assert env["HF_HOME"]["value"] == "/weights"
    assert env["HF_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "hopchain-hub", "key": "token", "optional": True}
    assert env["AIRFLOW_IS_K8S_EXECUTOR_POD"]["value"] == "True"
    assert spec["tolerations"]
    assert spec["nodeSelector"]
    assert spec["serviceAccountName"] == "hopchain-lake"


@pytest.mark.parametrize("name", RESOURCES)
def test_every_pod_states_what_it_needs_and_is_not_root(name: str) -> None:
    spec = as_json(pod_of(name, with_templates(SETTINGS["vllm with servers"])))["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["requests"].keys()
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (name == "segment")


def test_a_stage_on_a_cpu_asks_for_no_more_than_the_others() -> None:
    local = container_of("segment", {})
    assert local["resources"]["requests"] == {"cpu": "1", "memory": "4Gi", "ephemeral-storage": "4Gi"}
    assert "volumeMounts" not in local


def test_the_name_of_a_task_goes_before_its_kind() -> None:
    own = container_of("segment", SETTINGS["own requests"])
    assert own["resources"]["requests"] == {"cpu": "500m", "memory": "6Gi", "ephemeral-storage": "4Gi"}
    assert own["resources"]["limits"] == {"memory": "6Gi"}
    assert own["image"] == container_of("ingest", SETTINGS["own requests"])["image"] == "core:2"
    assert container_of("ingest", {})["image"] == "site:1", "Airflow's image, where the settings name none"


def test_without_a_template_airflow_takes_its_own() -> None:
    settings = Settings()
    config = pods.executor_config("build", RESOURCES["build"], settings.placement)
    assert set(config) == {"pod_override"}


def test_a_name_that_no_task_has_is_refused() -> None:
    settings = Settings.model_validate({"placement": {"pods": {"segments": {"image": "x"}}}})
    with pytest.raises(ValueError, match=r"no tasks called segments; there are cpu, gpu, .*segment"):
        pods.executor_config("segment", RESOURCES["segment"], settings.placement)


def test_templates_reach_the_tasks_of_the_dags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    settings = Settings.model_validate({"engines": {"profile": "sam3"}, "placement": PLACED})
    for name, kind in (("segment", "gpu"), ("generate", "cpu")):
        config = dag_config.placement(name, settings)["executor_config"]
        assert config["pod_template_file"] == PLACED["pods"][kind]["template"]
    for dag in ("build", "collect", "release", "evaluate", "admin"):
        args = dag_config.dag_args(settings, dag, version("hopchain-etl"))["default_args"]
        assert args["executor_config"]["pod_template_file"] == PLACED["pods"]["cpu"]["template"]
