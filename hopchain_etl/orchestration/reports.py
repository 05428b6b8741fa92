"""What a task tells other systems when it ends: metrics and spans (``telemetry``). Never fails the task."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hopchain_etl.lake.lake import Shard
from hopchain_etl.orchestration import dag_config, telemetry
from hopchain_etl.orchestration.written import written_since
from hopchain_etl.pipeline.build import Build

log = logging.getLogger(__name__)

INGEST = "ingest"


@contextmanager
def of_stage(build: Build, name: str, shards: Iterable[Shard]) -> Iterator[None]:
    """Report what a stage has written of ``shards`` inside the block, also if the block fails."""
    began = time.time()
    try:
        yield
    finally:
        report_stage(build, name, shards, began)


def report_stage(build: Build, name: str, shards: Iterable[Shard], began: float) -> None:
    """Report what ``name`` (a stage, or INGEST) has written of ``shards`` since ``began``; an error is logged."""
    try:
        if not telemetry.is_on():
            return
        step = build.steps.get(name)
        table, fingerprint = (step.stage.table, step.fingerprint) if step else ("images", None)
        written = written_since(build.lake, table, fingerprint, shards, began)
        telemetry.send_stage(name, written, dag_config.resources_for(name, build.settings).gpus)
    except Exception as error:  # noqa: BLE001 - the work of the task is done
        log.warning("what %s did was not reported: %s: %s", name, type(error).__name__, error)
