"""RESOURCES: Airflow pool, queue, GPUs and memory of each stage; read at parse time, so nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hopchain_etl.settings import Role


@dataclass(frozen=True)
class Resources:
    """Airflow pool and slots, the worker queue, and the Kubernetes resources of a task.

    Those of a stage are the same for all engines, but for what a GPU needs: see
    ``orchestration.dag_config.resources_for``.
    """

    pool: str = "default_pool"
    slots: int = 1
    queue: str = "default"
    gpus: int = 0
    memory_gib: int = 4


RESOURCES: Mapping[str, Resources] = {
    "ingest": Resources(),
    "detect": Resources(pool="vlm"),
    "segment": Resources(pool="gpu", memory_gib=16),
    "generate": Resources(pool="vlm"),
    "judge": Resources(pool="vlm"),
    "screen": Resources(pool="vlm"),
    "collect": Resources(),
    "evaluate": Resources(pool="vlm"),
}
GPU_MEMORY_GIB = 16  # of a task whose engine computes on a GPU

# The engines that each stage asks.
ROLES: Mapping[str, tuple[Role, ...]] = {
    "detect": (Role.DETECTOR,),
    "segment": (Role.SEGMENTER,),
    "generate": (Role.AUTHOR, Role.READER, Role.LOOKER),
    "judge": (Role.JUDGE,),
    "screen": (Role.SOLVER,),
}
