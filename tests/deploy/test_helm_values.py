"""The values for Airflow's Helm chart agree with the settings, the templates and our own placement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hopchain_etl.settings import Settings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"


def read(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text())


def test_the_settings_of_the_cluster_are_settings(monkeypatch: Any) -> None:
    data = read("settings.yaml")["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.placement.pods["gpu"].image == "hopchain-etl:gpu"
    mounted = read("values.yaml")["scheduler"]["extraVolumeMounts"][0]["mountPath"]
    for kind in ("cpu", "gpu"):
        template = settings.placement.pods[kind].template
        assert template == f"{mounted}/{kind}.yaml"
        assert (KUBERNETES / "pods" / f"{kind}.yaml").exists()


def test_redis_gives_no_long_task_to_a_second_worker() -> None:
    name = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    compose = yaml.safe_load((KUBERNETES.parent / "compose.yaml").read_text())
    for settings in (read("settings.yaml")["data"], compose["x-airflow"]["environment"]):
        assert int(settings[name]) >= 7 * 24 * 3600


def test_each_queue_has_workers() -> None:
    base, gpu = read("values.yaml")["workers"]["celery"], read("values-gpu-workers.yaml")["workers"]["celery"]
    assert base["enableDefault"] is True
    assert base["queue"] == "default", "Airflow's operators.default_queue"
    (own,) = gpu["sets"]
    assert own["queue"] == read("settings.yaml")["data"]["HOPCHAIN_PLACEMENT__GPU_QUEUE"]
    volumes = {volume["name"] for volume in own["extraVolumes"]}
    assert {mount["name"] for mount in own["extraVolumeMounts"]} == volumes
    assert own["resources"]["limits"]["nvidia.com/gpu"] == own["resources"]["requests"]["nvidia.com/gpu"]


def test_pods_with_gpus_need_the_executor_that_makes_them() -> None:
    values = read("values-gpu-pods.yaml")
    (setting,) = values["env"]
    assert setting["name"] == "HOPCHAIN_PLACEMENT__GPU_EXECUTOR"
    assert setting["value"] in values["executor"].split(",")


def test_every_part_reads_the_same_settings_and_secrets() -> None:
    every = [yaml.safe_load(read("values.yaml")["extraEnvFrom"])]
    pods = [read(f"pods/{kind}.yaml")["spec"] for kind in ("cpu", "gpu")]
    pods.append(read("gc-cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    every += [spec["containers"][0]["envFrom"] for spec in pods]
    assert all(one == every[0] for one in every)
    accounts = {spec["serviceAccountName"] for spec in pods}
    assert accounts == {read("values.yaml")["workers"]["serviceAccount"]["name"]}
