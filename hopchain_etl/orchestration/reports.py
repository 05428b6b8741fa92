"""What tasks tell other systems when they end: metrics, spans (``telemetry``) and datasets (``lineage_events``).

Nothing here fails a task.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.orchestration import dag_config, lineage_events, telemetry
from hopchain_etl.orchestration.lineage_events import Assertion, Dataset, table
from hopchain_etl.orchestration.written import written_since
from hopchain_etl.pipeline.build import Build
from hopchain_etl.project_files import project_file
from hopchain_etl.settings import Settings

log = logging.getLogger(__name__)

INGEST = "ingest"
JSON = Mapping[str, Any]


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
        if not telemetry.is_on() and not lineage_events.is_on():
            return
        step = build.steps.get(name)
        place: tuple[str, str | None] = (step.stage.table, step.fingerprint) if step else ("images", None)
        written = written_since(build.lake, *place, shards, began)
        telemetry.send_stage(name, written, dag_config.resources_for(name, build.settings).gpus)
        read = [table(build.lake, *source) for source in step.stage.sources] if step else [_photos(build.settings)]
        lineage_events.report(lambda: (read, [lineage_events.written_table(build.lake, *place, written)]))
    except Exception as error:  # noqa: BLE001 - the work of the task is done
        log.warning("what %s did was not reported: %s: %s", name, type(error).__name__, error)


def report_plan(build: Build) -> None:
    """Report what was looked at for a plan."""
    lineage_events.report(lambda: (_tables(build), []))


def report_gate(build: Build, result: JSON) -> None:
    """Report a quality gate (GateResult): each table with the results of its expectations, and the page of the run."""

    def datasets() -> tuple[list[Dataset], list[Dataset]]:
        read = [
            table(build.lake, name, version, _assertions(name, result["expectations"]))
            for name, version in _places(build)
        ]
        page = Dataset(build.lake.store.uri(result["docs"]), account={"unhealthy": result["unhealthy"]})
        return read, [page]

    lineage_events.report(datasets)


def report_batch(build: Build, batch: JSON) -> None:
    """Report the batch that ``publish_batch`` has made, if any."""
    read, uri = table(build.lake, "queries", build.lineage), build.lake.store.uri("batches")
    made = Dataset(uri, version=batch["id"], rows=batch["queries"], account={"held_back": batch["held_back"]})
    lineage_events.report(lambda: ([read], [made] if batch["id"] else []))


def report_record(build: Build, key: str, counts: JSON) -> None:
    """Report the record of a run under ``key``."""
    made = Dataset(build.lake.store.uri(key), account=dict(counts))
    lineage_events.report(lambda: (_tables(build), [made]))


def report_collect(lake: Lake, final: Sequence[JSON]) -> None:
    """Report a collect, with the batches that have just become final."""
    counts = {name: sum(one[name] for one in final) for name in ("kept", "dropped", "open", "withdrawn")}
    versions = {one["answers"] for one in final}
    made = Dataset(
        lake.store.uri("answers"),
        schemas.ANSWERS,
        version=versions.pop() if len(versions) == 1 else None,
        account={"final_batches": [one["id"] for one in final], **counts},
    )
    lineage_events.report(lambda: ([Dataset(lake.store.uri("votes"))], [made]))


def report_release(settings: Settings, releases: Sequence[JSON]) -> None:
    """Report released or proposed versions: ``target``, ``tag`` and ``rows`` of each."""

    def datasets() -> tuple[list[Dataset], list[Dataset]]:
        lake = Lake(settings.lake)
        read = [Dataset(lake.store.uri(name), schemas.TABLES[name]) for name in ("images", "queries", "answers")]
        made = [training_set(settings, one["target"], one["tag"], one["rows"]) for one in releases]
        return read, made

    lineage_events.report(datasets)


def report_evaluation(settings: Settings, target: str, done: JSON) -> None:
    """Report an evaluation by what its task returns."""

    def datasets() -> tuple[list[Dataset], list[Dataset]]:
        version, *_ = done["splits"]  # which rows were asked, by version
        account = {name: done[name] for name in ("model", "accuracy", "without_answer")}
        made = Dataset(done["at"], version=done["name"], rows=done["answers"], account=account)
        return [training_set(settings, target, version)], [made]

    lineage_events.report(datasets)


def training_set(settings: Settings, target: str, tag: str | None, rows: int | None = None) -> Dataset:
    """Return a training set in the registry as a dataset; its version is the tag."""
    remote = settings.registry.remote
    place = remote.uri if remote else settings.lake.uri
    return Dataset(f"{place}/training_set/{target}", schemas.TRAINING_ROWS, tag, rows)


def _photos(settings: Settings) -> Dataset:
    return Dataset(settings.source.uri)


def _places(build: Build) -> list[tuple[str, str | None]]:
    return [("images", None), *((step.stage.table, step.fingerprint) for step in build.steps.values())]


def _tables(build: Build) -> list[Dataset]:
    return [table(build.lake, *place) for place in _places(build)]


def _assertions(name: str, failing: Mapping[str, int]) -> list[Assertion]:
    """Return the results of a table's expectations; ``failing``: numbers of rows by ``table/expectation``."""
    suite = json.loads(project_file(f"expectations/{name}.json").read_text(encoding="utf-8"))
    found = [(one["meta"]["name"], one["kwargs"]["column"]) for one in suite["expectations"]]
    counted = [(word, column, failing.get(f"{name}/{word}")) for word, column in found]
    return [Assertion(word, column, not number, number) for word, column, number in counted if number is not None]
