"""What every DAG is configured with: where its tasks run, how they are retried, and who is told of a failure.

DAG files import this module at parse time, so nothing here imports Airflow, pyarrow or boto3 before it is called.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hopchain_etl.orchestration.notices import tell_failure
from hopchain_etl.settings import PlacementSettings, Profile, Settings
from hopchain_etl.stages.resources import RESOURCES, Resources

_MAX_RETRY_DELAY = timedelta(minutes=30)


def dag_args(settings: Settings, tag: str) -> dict[str, Any]:
    """Return what all DAGs have in common, as arguments of ``@dag``: one run at a time, and no catching up."""
    tags = ["hopchain", tag]
    return {"catchup": False, "max_active_runs": 1, "tags": tags, "default_args": default_args(settings)}


def default_args(settings: Settings) -> dict[str, Any]:
    """Return what all tasks have in common: owner, retries with exponential backoff, whom a failure is told to."""
    orchestrate = settings.orchestrate
    args: dict[str, Any] = {
        "owner": "hopchain",
        "retries": orchestrate.retries,
        "retry_delay": timedelta(seconds=orchestrate.retry_delay_seconds),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _MAX_RETRY_DELAY,
    }
    if orchestrate.failure_webhook_connection:
        args["on_failure_callback"] = tell_failure(orchestrate.failure_webhook_connection)
    return args


def timetable(cron: str | None) -> Any:
    """Return the Airflow timetable of a cron expression in UTC; None for a DAG that only runs by hand.

    A DAG that is switched on waits for its next time. Airflow would otherwise also run one whose last time is less
    than a tenth of its period ago, beside the run that was just started by hand.
    """
    if cron is None:
        return None
    from airflow.sdk import CronTriggerTimetable

    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta())


def asset(name: str) -> Any:
    """Return the Airflow asset that is called ``hopchain://<name>``.

    Its URI has another scheme: for any that does not begin with ``x-`` Airflow looks for a handler in all providers,
    which loads boto3 into the DAG processor.
    """
    from airflow.sdk import Asset

    return Asset(f"hopchain://{name}", f"x-hopchain://{name}")


def stages(settings: Settings) -> dict[str, str]:
    """Return the stages that a shard goes through in order, each with what it does.

    The local profile has no judge and no weaker model. A run whose engines lack one skips its tasks.
    """
    always = {
        "detect": "Name the categories of things in each photo.",
        "segment": "Cut out each instance of each category.",
        "generate": "Write questions over the instances; keep those that pass every check.",
    }
    if settings.engines.profile is Profile.LOCAL:
        return always
    return {
        **always,
        "judge": "Let a model say which questions cannot be put to people.",
        "screen": "Let a weaker model try each question, with the image and blind, before people are asked.",
    }


def placement(stage: str, settings: Settings) -> dict[str, Any]:
    """Return where the tasks of a stage run, as arguments of ``@task``.

    Pool and slots always; an executor where the settings name one for GPUs; a queue where Celery runs the task; a pod
    where Kubernetes does.
    """
    from airflow.sdk.configuration import conf

    needs = resources_for(stage, settings)
    executors = conf.get("core", "executor")
    place: dict[str, Any] = {"pool": needs.pool, "pool_slots": needs.slots}
    if needs.gpus and settings.placement.gpu_executor:
        place["executor"] = executors = settings.placement.gpu_executor
    if "Celery" in executors:
        place["queue"] = needs.queue
    if "Kubernetes" in executors:
        place["executor_config"] = {"pod_override": _pod(needs, settings.placement)}
    return place


def resources_for(stage: str, settings: Settings) -> Resources:
    """Return what a stage needs under the profile of the settings.

    The local profile asks for neither the GPU queue nor a GPU. In the vllm profile a stage that asks a model without an
    endpoint launches it, on as many GPUs as the model is spread over.
    """
    needs = RESOURCES[stage]
    if settings.engines.profile is Profile.LOCAL:
        return replace(needs, queue=Resources().queue, gpus=0)
    model = getattr(settings, needs.model_section) if needs.model_section else None
    if model and model.endpoint_url is None:
        memory = max(needs.memory_gib, settings.placement.launch_memory_gib)
        return replace(needs, queue="gpu", gpus=model.launch.tensor_parallel, memory_gib=memory)
    return needs


def _pod(needs: Resources, settings: PlacementSettings) -> Any:
    """Return the part of a Kubernetes pod that a stage decides; ``base`` is the container that runs the task."""
    from kubernetes.client import models as k8s

    limits = {"memory": f"{needs.memory_gib}Gi", **({settings.gpu_resource: str(needs.gpus)} if needs.gpus else {})}
    resources = k8s.V1ResourceRequirements(requests=limits, limits=limits)
    image = settings.gpu_image if needs.gpus else None
    return k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image=image, resources=resources)]))
