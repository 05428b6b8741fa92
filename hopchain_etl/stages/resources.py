"""RESOURCES: what the tasks of each stage and DAG need; read at parse time, so nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hopchain_etl.settings import Role


@dataclass(frozen=True)
class Resources:
    """GPUs, and what a Kubernetes pod asks for: processors, memory and local disk.

    Here they are those of engines without a GPU; ``orchestration.dag_config.resources_for`` adds what a GPU needs.
    """

    gpus: int = 0
    cpus: int = 1
    memory_gib: int = 4
    disk_gib: int = 4


# By stage; and by DAG for the tasks of that DAG that are no stage.
RESOURCES: Mapping[str, Resources] = {
    "ingest": Resources(cpus=2),  # decodes in processes of its own
    "detect": Resources(),
    "segment": Resources(),
    "generate": Resources(),
    "judge": Resources(),
    "screen": Resources(),
    "build": Resources(),
    "collect": Resources(),
    "release": Resources(disk_gib=20),  # a clone of the registry, and new image parts
    "evaluate": Resources(disk_gib=20),  # a pulled version with its photos
    "admin": Resources(disk_gib=20),
}
# Of a task whose engine computes on a GPU or that launches a model. The weights are in a volume, not on this disk.
GPU_CPUS = 4
GPU_MEMORY_GIB = 16
GPU_DISK_GIB = 20

# The engines that each stage asks.
ROLES: Mapping[str, tuple[Role, ...]] = {
    "detect": (Role.DETECTOR,),
    "segment": (Role.SEGMENTER,),
    "generate": (Role.AUTHOR, Role.READER, Role.LOOKER),
    "judge": (Role.JUDGE,),
    "screen": (Role.SOLVER,),
}
