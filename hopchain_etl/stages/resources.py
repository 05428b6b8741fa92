"""RESOURCES: Airflow pool, queue, GPUs and memory of each stage; read at parse time, so nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Resources:
    """Airflow pool and slots, the worker queue, and the Kubernetes resources of a task.

    Queue and GPUs apply to the vllm profile; the local profile runs on any CPU. ``model_section`` is the settings
    section of the model that the stage calls; without an endpoint the task launches the server and needs its GPUs.
    """

    pool: str = "default_pool"
    slots: int = 1
    queue: str = "default"
    gpus: int = 0
    memory_gib: int = 4
    model_section: Literal["vlm", "solver"] | None = None


RESOURCES: Mapping[str, Resources] = {
    "ingest": Resources(),
    "detect": Resources(pool="vlm", model_section="vlm"),
    "segment": Resources(pool="gpu", queue="gpu", gpus=1, memory_gib=16),
    "generate": Resources(pool="vlm", model_section="vlm"),
    "judge": Resources(pool="vlm", model_section="vlm"),
    "screen": Resources(pool="vlm", model_section="solver"),
    "collect": Resources(),
}
