"""Section ``placement``: where tasks run, and what their Kubernetes pods are made of."""

from __future__ import annotations

from pydantic import Field

from hopchain_etl.settings.section import Section


class PodSettings(Section):
    """The Kubernetes pods of some tasks."""

    template: str | None = Field(
        None,
        description="pod template (YAML) of the tasks called NAME: cpu, gpu, or a stage or DAG such as segment or "
        "release, which goes first. A path where the scheduler runs; none: the executor's own",
    )
    image: str | None = Field(None, description="their image; none: the executor's")
    requests: dict[str, str] = Field(
        {}, description='what they ask for instead of what the stage states: {"memory": "8Gi", "cpu": "2"}'
    )


class PlacementSettings(Section):
    """Where tasks run. GPUs follow from the engines of a stage."""

    queue: str | None = Field(None, description="Celery queue of tasks without a GPU; none: operators.default_queue")
    gpu_queue: str = Field("gpu", description="Celery queue of tasks that need a GPU")
    pool: str = Field("default_pool", description="Airflow pool of tasks that neither compute on a GPU nor ask a model")
    gpu_pool: str = Field("gpu", description="Airflow pool of tasks whose engine computes on a GPU")
    vlm_pool: str = Field("vlm", description="Airflow pool of tasks that ask or launch a model")
    gpu_python: str | None = Field(
        None, description="Python interpreter of the environment with hopchain-etl[gpu]; none: the worker's own"
    )
    gpu_executor: str | None = Field(
        None,
        description="executor of tasks that need a GPU, as AIRFLOW__CORE__EXECUTOR names it; none: the first one",
    )
    gpu_resource: str = Field("nvidia.com/gpu", description="name of a GPU as a resource in the cluster")
    launches: int = Field(
        2,
        ge=1,
        description="maximum number of mapped tasks of a stage, where a stage launches its own model: each loads the "
        "weights once, for all shards of its group",
    )
    launch_memory_gib: int = Field(64, ge=1, description="memory of a pod that launches its own model server")
    pods: dict[str, PodSettings] = Field(
        {},
        description="pods of all tasks that need a GPU (gpu), of all others (cpu), and of single stages and DAGs",
    )
