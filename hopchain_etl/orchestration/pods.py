"""executor_config: the Kubernetes pods of tasks: the site's pod template, and what a task asks for.

The template says what a site knows: volumes, accounts, secrets, nodes. Only resources and the image, which follow from
the engines of a stage, are written over it.
"""

from __future__ import annotations

from typing import Any

from hopchain_etl.settings import PlacementSettings, PodSettings
from hopchain_etl.stages.resources import RESOURCES, Resources

_KINDS = ("cpu", "gpu")


def executor_config(name: str, needs: Resources, settings: PlacementSettings) -> dict[str, Any]:
    """Return the ``executor_config`` of the tasks of a stage or DAG, for Airflow's KubernetesExecutor.

    Raises ValueError if the settings name tasks that do not exist.
    """
    from kubernetes.client import models as k8s

    pod = _settings_of(name, "gpu" if needs.gpus else "cpu", settings)
    requests = {
        "cpu": str(needs.cpus),
        "memory": f"{needs.memory_gib}Gi",
        "ephemeral-storage": f"{needs.disk_gib}Gi",
        **pod.requests,
    }
    # More memory than planned ends a pod of ours, not one of somebody else. A GPU must be its own limit.
    limits = {"memory": requests["memory"]}
    if needs.gpus:
        requests[settings.gpu_resource] = limits[settings.gpu_resource] = str(needs.gpus)
    resources = k8s.V1ResourceRequirements(requests=requests, limits=limits)
    # Airflow runs the task in the container "base".
    container = k8s.V1Container(name="base", image=pod.image, resources=resources)
    config: dict[str, Any] = {"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[container]))}
    return config | ({"pod_template_file": pod.template} if pod.template else {})


def _settings_of(name: str, kind: str, settings: PlacementSettings) -> PodSettings:
    """Return the settings of the tasks' own name over those of their kind."""
    if unknown := settings.pods.keys() - {*_KINDS, *RESOURCES}:
        known = ", ".join((*_KINDS, *RESOURCES))
        raise ValueError(f"placement.pods: there are no tasks called {', '.join(sorted(unknown))}; there are {known}")
    own, shared = (settings.pods.get(key, PodSettings()) for key in (name, kind))
    return PodSettings(
        template=own.template or shared.template,
        image=own.image or shared.image,
        requests={**shared.requests, **own.requests},
    )
