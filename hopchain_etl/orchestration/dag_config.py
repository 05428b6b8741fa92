"""Common DAG configuration: where tasks run, how they are retried, and who is notified of failures.

DAG files import this module at parse time, so nothing here imports Airflow, pyarrow or boto3 before it is called.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hopchain_etl.orchestration import pods
from hopchain_etl.orchestration.notices import approval_notifiers, on_failure
from hopchain_etl.settings import Settings, VlmSettings
from hopchain_etl.settings.catalog import EngineEntry
from hopchain_etl.stages.resources import GPU_CPUS, GPU_DISK_GIB, GPU_MEMORY_GIB, RESOURCES, ROLES, Resources

# What Airflow shows of a mapped task: its shard, or the first and the last of its group with their number.
GROUP_NAME = (
    "{% set group = task.op_kwargs['group'] %}{{ group[0] }}"
    "{% if group | length > 1 %} to {{ group[-1] }} ({{ group | length }} shards){% endif %}"
)
# All but backfills.
_RUN_TYPES = ("scheduled", "manual", "operator_triggered", "asset_triggered", "asset_materialization")
_WAITING = frozenset({"awaiting_input", "deferred"})  # states of a task that waits for a person
_MAX_RETRY_DELAY = timedelta(minutes=30)


def dag_args(settings: Settings, tag: str, written_for: str) -> dict[str, Any]:
    """Return the common arguments of ``@dag``: one run at a time, no catchup, no backfill; all tasks are placed.

    ``written_for``: the series (``0.2``) of this package that the DAG file belongs to. Raises ImportError, which
    Airflow shows as an error of that file, if another one is installed. Every run works on what is there now: a
    backfill would take today's photos under an old date, and its runs do not count for ``max_active_runs``.
    """
    try:
        installed = version("hopchain-etl")
    except PackageNotFoundError as error:
        raise ImportError("hopchain-etl is not installed where Airflow reads its DAGs; install the package") from error
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
        "default_args": default_args(settings) | placement(tag, settings),
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
        "weight_rule": "absolute",
    }
    if orchestrate.failure_webhook_connection or orchestrate.notifiers:
        args["on_failure_callback"] = on_failure(settings)
    return args


def timetable(settings: Settings, name: str) -> Any:
    """Return the Airflow timetable of a schedule of ``settings.orchestrate``, in UTC; None: triggered only manually.

    After a DAG is unpaused it waits for its next scheduled time. Otherwise Airflow would also start a run if the last
    scheduled time was less than a tenth of the period ago, in addition to a manually started run. Raises ValueError,
    which Airflow shows as an error of the DAG file, if it is no cron expression.
    """
    cron: str | None = getattr(settings.orchestrate, name)
    if cron is None:
        return None
    from airflow.sdk import CronTriggerTimetable
    from airflow.sdk.exceptions import AirflowTimetableInvalid
    from airflow.timetables.trigger import CronTriggerTimetable as Scheduled

    try:  # only the scheduler's class can tell
        Scheduled(cron, timezone="UTC").validate()
    except AirflowTimetableInvalid as error:
        setting = f"HOPCHAIN_ORCHESTRATE__{name.upper()}"
        raise ValueError(f"{setting}={cron!r} is no cron expression, such as '0 2 * * *': {error}") from error
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
        "notifiers": approval_notifiers(orchestrate),
        # web/early_answers.py holds answers of the first seconds back; without the plugin one may fail the first try.
        "retries": max(1, orchestrate.retries),
        "retry_delay": timedelta(seconds=5),
        "doc_md": "Show a person what would be released, and wait for approval in the UI.",
    }


def waiting_releases() -> set[str]:
    """Return the ids of the runs of hopchain_release that wait for approval; for a running task."""
    from airflow.sdk import get_current_context

    states = get_current_context()["ti"].get_task_states(dag_id="hopchain_release", task_ids=["approve"])
    return {run for run, tasks in states.items() if _WAITING.intersection(map(str, tasks.values()))}


def stages(settings: Settings) -> dict[str, str]:
    """Return the stages that a shard goes through in order, each with a description.

    Those of judge and solver only if there is such an engine.
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
    """Return how many mapped tasks a stage may have: the setting, or Airflow's own limit where that is lower.

    Where a stage launches its own model, few tasks take many shards each: loading weights takes minutes.
    """
    most = min(settings.orchestrate.max_mapped, airflow_max_mapped())
    launches = any(_launched(name, settings) for name in stages(settings))
    return min(most, settings.placement.launches) if launches else most


def airflow_max_mapped() -> int:
    """Return Airflow's limit (``core.max_map_length``)."""
    from airflow.sdk.configuration import conf

    return int(conf.getint("core", "max_map_length", fallback=1024))


def placement(name: str, settings: Settings) -> dict[str, Any]:
    """Return where the tasks of a stage run, or the tasks of a DAG that are no stage, as arguments of ``@task``.

    A pool and a priority always; an executor if the settings name one for GPUs; a queue if Celery runs the task; a pod
    if Kubernetes does.
    """
    from airflow.sdk.configuration import conf

    needs, where = resources_for(name, settings), settings.placement
    executors = conf.get("core", "executor")
    place: dict[str, Any] = {"pool": pool(name, settings), "priority_weight": _priority(name, settings)}
    if needs.gpus and where.gpu_executor:
        place["executor"] = executors = where.gpu_executor
    queue = where.gpu_queue if needs.gpus else where.queue
    if "Celery" in executors and queue:
        place["queue"] = queue
    if "Kubernetes" in executors:
        place["executor_config"] = pods.executor_config(name, needs, where)
    return place


def _priority(name: str, settings: Settings) -> int:
    """Return the priority of a stage's tasks: later stages go first, so that shards finish one after the other.

    Airflow's own rule prefers tasks with many tasks after them: then every shard waits for the first stage of all.
    """
    names = list(stages(settings))
    return 2 + names.index(name) if name in names else 1


def pool(name: str, settings: Settings) -> str:
    """Return the Airflow pool of the tasks of a stage or DAG: it limits how many use GPUs or ask a model at a time."""
    where = settings.placement
    if any(entry.needs_gpu for entry in _entries(name, settings)):
        return where.gpu_pool
    return where.vlm_pool if _models(name, settings) else where.pool


def resources_for(name: str, settings: Settings) -> Resources:
    """Return what a stage needs for the engines that the settings choose for it, or what a DAG's other tasks need.

    An engine that computes on a GPU takes one. One that asks a model without an endpoint launches the model, on the
    GPUs given by tensor_parallel. All others need no GPU, nor do those whose models a Ray cluster holds.
    """
    needs, entries = RESOURCES[name], _entries(name, settings)
    launched = _launched(name, settings)
    gpus = [model.launch.tensor_parallel for model in launched] + [
        int(entry.needs_gpu and not settings.engines.on_ray(entry)) for entry in entries
    ]
    if not any(gpus):
        return needs
    memory = max(needs.memory_gib, GPU_MEMORY_GIB, settings.placement.launch_memory_gib if launched else 0)
    return Resources(max(gpus), max(needs.cpus, GPU_CPUS), memory, max(needs.disk_gib, GPU_DISK_GIB))


def _entries(name: str, settings: Settings) -> tuple[EngineEntry, ...]:
    return tuple(settings.engines.roles.of(*ROLES[name])) if name in ROLES else ()


def _launched(name: str, settings: Settings) -> list[VlmSettings]:
    return [model for model in _models(name, settings) if model.is_launched_by_task]


def _models(name: str, settings: Settings) -> list[VlmSettings]:
    """Return the settings of the models that the tasks ask or launch."""
    models = [getattr(settings, entry.model) for entry in _entries(name, settings) if entry.model]
    if name == "evaluate" and settings.evaluate.model.model:
        models.append(settings.evaluate.model)
    return models
