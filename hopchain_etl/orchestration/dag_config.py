"""Common DAG configuration: where tasks run, how they are retried, and who is notified of failures.

DAG files import this module at parse time, so nothing here imports Airflow, pyarrow or boto3 before it is called.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from hopchain_etl.orchestration.notices import notify_failure
from hopchain_etl.settings import PlacementSettings, Settings
from hopchain_etl.stages.resources import GPU_MEMORY_GIB, RESOURCES, ROLES, Resources

# What Airflow shows of a mapped task: its shard, or the first and the last of its group with their number.
GROUP_NAME = (
    "{% set group = task.op_kwargs['group'] %}{{ group[0] }}"
    "{% if group | length > 1 %} to {{ group[-1] }} ({{ group | length }} shards){% endif %}"
)
# All but backfills.
_RUN_TYPES = ("scheduled", "manual", "operator_triggered", "asset_triggered", "asset_materialization")
_MAX_RETRY_DELAY = timedelta(minutes=30)


def dag_args(settings: Settings, tag: str, written_for: str) -> dict[str, Any]:
    """Return the common arguments of ``@dag``: one run at a time, no catchup, no backfill.

    ``written_for``: the version of this package that the DAG file belongs to. Raises ImportError, which Airflow shows
    as an error of that file, if another one is installed. Every run works on what is there now: a backfill would take
    today's photos under an old date, and its runs do not count for ``max_active_runs``.
    """
    installed = version("hopchain-etl")
    if installed.split(".")[:2] != written_for.split(".")[:2]:
        raise ImportError(
            f"this DAG file belongs to hopchain-etl {written_for}, and {installed} is installed: point the DAG bundle "
            "at the DAGs of the installed package (`hopchain where dags`), or at the tag of that version"
        )
    return {
        "catchup": False,
        "max_active_runs": 1,
        "allowed_run_types": _RUN_TYPES,
        "tags": ["hopchain", tag],
        "default_args": default_args(settings),
    }


def default_args(settings: Settings) -> dict[str, Any]:
    """Return what all tasks have in common: owner, retries with exponential backoff, failure notification."""
    orchestrate = settings.orchestrate
    args: dict[str, Any] = {
        "owner": "hopchain",
        "retries": orchestrate.retries,
        "retry_delay": timedelta(seconds=orchestrate.retry_delay_seconds),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _MAX_RETRY_DELAY,
    }
    if orchestrate.failure_webhook_connection:
        args["on_failure_callback"] = notify_failure(orchestrate.failure_webhook_connection)
    return args


def timetable(cron: str | None) -> Any:
    """Return the Airflow timetable of a cron expression in UTC; None for a DAG that is only triggered manually.

    After a DAG is unpaused it waits for its next scheduled time. Otherwise Airflow would also start a run if the last
    scheduled time was less than a tenth of the period ago, in addition to a manually started run.
    """
    if cron is None:
        return None
    from airflow.sdk import CronTriggerTimetable

    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta())


def asset(name: str) -> Any:
    """Return the Airflow asset that is called ``hopchain://<name>``.

    Its URI has another scheme: for schemes that do not start with ``x-`` Airflow searches all providers for a handler,
    which loads boto3 into the DAG processor.
    """
    from airflow.sdk import Asset

    return Asset(f"hopchain://{name}", f"x-hopchain://{name}")


def approval(settings: Settings) -> dict[str, Any]:
    """Return who may approve a release and how long it waits for them, as arguments of an ``ApprovalOperator``.

    Nobody's answer in time counts as a rejection: otherwise a forgotten question would block all later releases.
    """
    orchestrate = settings.orchestrate
    return {
        "assigned_users": [{"id": name, "name": name} for name in orchestrate.approvers] or None,
        "response_timeout": timedelta(hours=orchestrate.approval_hours),
        "defaults": "Reject",
        # An answer in the first seconds can arrive before the task waits for it and fail it; the retry asks again.
        "retries": max(1, orchestrate.retries),
        "retry_delay": timedelta(seconds=5),
        "doc_md": "Show a person what would be released, and wait for approval in the UI.",
    }


def stages(settings: Settings) -> dict[str, str]:
    """Return the stages that a shard goes through in order, each with a description.

    Those of judge and solver only if there is such an engine. If a run has no engine for a stage (its profile is a
    param), the stage's tasks are skipped.
    """
    found = {
        "detect": "Name the categories of things in each photo.",
        "segment": "Segment each instance of each category.",
        "generate": "Write questions over the instances; keep those that pass every check.",
    }
    if settings.engines.roles.judge:
        found["judge"] = "Let a model decide which questions are not suitable for annotators."
    if settings.engines.roles.solver:
        found["screen"] = (
            "Let a weaker model attempt each question, with and without the image, before annotators get it."
        )
    return found


def max_mapped(settings: Settings) -> int:
    """Return how many mapped tasks a stage may have: the setting, or Airflow's own limit where that is lower."""
    return min(settings.orchestrate.max_mapped, airflow_max_mapped())


def airflow_max_mapped() -> int:
    """Return Airflow's limit (``core.max_map_length``)."""
    from airflow.sdk.configuration import conf

    return int(conf.getint("core", "max_map_length", fallback=1024))


def placement(stage: str, settings: Settings) -> dict[str, Any]:
    """Return where the tasks of a stage run, as arguments of ``@task``.

    Pool and slots always; an executor if the settings name one for GPUs; a queue if Celery runs the task; a pod if
    Kubernetes does.
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
    """Return what a stage needs for the engines that the settings choose for it.

    An engine that computes on a GPU takes one. One that asks a model without an endpoint launches the model, on the
    GPUs given by tensor_parallel. All others need neither the GPU queue nor a GPU.
    """
    needs = RESOURCES[stage]
    entries = settings.engines.roles.of(*ROLES[stage]) if stage in ROLES else ()
    models = [getattr(settings, entry.model) for entry in entries if entry.model]
    if stage == "evaluate" and settings.evaluate.model.model:
        models.append(settings.evaluate.model)
    launched = [model for model in models if model.endpoint_url is None]
    gpus = [model.launch.tensor_parallel for model in launched] + [int(entry.needs_gpu) for entry in entries]
    if not any(gpus):
        return needs
    computes = any(entry.needs_gpu for entry in entries)
    memory = max(GPU_MEMORY_GIB if computes else 0, settings.placement.launch_memory_gib if launched else 0)
    return replace(needs, queue="gpu", gpus=max(gpus), memory_gib=max(needs.memory_gib, memory))


def _pod(needs: Resources, settings: PlacementSettings) -> Any:
    """Return the pod override of a stage; ``base`` is the container that runs the task."""
    from kubernetes.client import models as k8s

    limits = {"memory": f"{needs.memory_gib}Gi", **({settings.gpu_resource: str(needs.gpus)} if needs.gpus else {})}
    resources = k8s.V1ResourceRequirements(requests=limits, limits=limits)
    image = settings.gpu_image if needs.gpus else None
    return k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image=image, resources=resources)]))
