"""What a stage needs of the cluster, declared once beside the stage and used by the DAG."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Airflow pool and slots, and the queue that its workers listen on. ``gpus`` a task asks Kubernetes for."""

    pool: str = "default_pool"
    slots: int = 1
    queue: str = "default"
    gpus: int = 0
    memory_gib: int = 4
