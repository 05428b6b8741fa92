"""The tasks of ``hopchain_build``: each takes the run's params and returns small JSON for XCom.

Only shard ids are passed between tasks, never rows. Permanent errors fail the task without a retry
(AirflowFailException). The last ones are in ``build_end``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from functools import partial
from itertools import pairwise
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import TokenCeilingError
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.orchestration import dag_config, notices, remote_python, reports, telemetry, watch
from hopchain_etl.orchestration.dag_run import DagRun, intake_name, run_key
from hopchain_etl.orchestration.run_params import JSON, Params, build_for, settings_for
from hopchain_etl.orchestration.task_ends import fail_without_retry, skip, stoppable
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.shard_errors import ShardsRejectedError
from hopchain_etl.pipeline.statistics import build_statistics
from hopchain_etl.quality import validator
from hopchain_etl.stages.logged_progress import LoggedProgress

Groups = Sequence[Sequence[str]]  # ids of shards: each group is one mapped task of a stage


def ingest(params: Params, run: DagRun) -> JSON:
    """Ingest new photos from the source; return IngestResult with the completed shards and the bad ones as ids."""
    began = time.time()
    with fail_without_retry(ValueError), stoppable() as stop, LoggedProgress(task_log().info) as progress:
        build = Build(settings_for(params))
        result = build.ingest(intake_name(run), progress=progress, stop=stop)
    reports.report_stage(build, reports.INGEST, result.shards, began)
    bad = {shard: message.partition("\n")[0] for shard, message in result.bad.items()}
    return {**asdict(result), "shards": [str(shard) for shard in result.shards], "bad": bad}


def plan(params: Params) -> list[list[str]]:
    """Return the ids of the shards to process, for the intakes chosen in ``params``, in groups to be mapped."""
    with fail_without_retry(ValueError):
        build = build_for(params)
        shards = [str(shard) for shard in build.plan(params["intakes"])]
        reports.report_plan(build)
        return in_groups(shards, dag_config.max_mapped(build.settings))


def in_groups(shards: Sequence[str], most: int) -> list[list[str]]:
    """Return ``shards`` in order in at most ``most`` groups whose sizes differ by one at most."""
    groups = min(most, len(shards))
    bounds = [len(shards) * number // groups for number in range(groups + 1)] if groups else []
    return [list(shards[start:end]) for start, end in pairwise(bounds)]


def run_stage(name: str, group: Sequence[str], params: Params) -> None:
    """Run one stage over a group of shards, in the interpreter that has its libraries; skip what this run lacks.

    A bad shard does not stop the others; the task fails at the end. Shards that the stage above has not completed are
    left out: the gate names them.
    """
    build = build_for(params)
    settings = build.settings
    if name not in dag_config.stages(settings):
        skip(f"this run has no engine for the stage {name!r}: neither its profile nor HOPCHAIN_ENGINES__... names one")
    python = settings.placement.gpu_python if dag_config.resources_for(name, settings).gpus else None
    with fail_without_retry(ValueError, ShardsRejectedError, TokenCeilingError), stoppable() as stop:
        shards = [Shard.parse(shard) for shard in group]
        with reports.of_stage(build, name, shards):
            if python:
                ran = remote_python.run(
                    *(python, name, group, settings, stop),
                    retry_quarantined=build.retry_quarantined,
                    hear_requests=partial(telemetry.send_requests, name),
                )
            else:
                with LoggedProgress(telemetry.with_requests(name, task_log().info)) as progress:
                    ran = bool(build.run_each(name, shards, progress=progress, stop=stop))
    if not ran:
        skip("no shard of this group has passed the stage above")


def quality_gate(params: Params, run: DagRun, ingested: JSON, groups: Groups) -> JSON:
    """Write the Data Docs of this run; return the validation results of everything it wrote, with the bad shards."""
    build = Build(settings_for(params))
    planned = [Shard.parse(shard) for group in groups for shard in group]
    images = {*planned, *map(Shard.parse, (*ingested["shards"], *ingested["bad"]))}
    entries = [validator.GateEntry("images", None, shard) for shard in sorted(images)]
    for step in build.steps.values():
        stage = step.stage
        made = (stage.table, step.fingerprint)
        entries += [validator.GateEntry(*made, shard, tuple(stage.sources)) for shard in planned]
    result = asdict(validator.gate(build.lake, entries, run_key(run)))
    reports.report_gate(build, result)
    return result


def publish_batch(params: Params, run: DagRun, gate: JSON) -> JSON:
    """Create this run's batch from all current queries that are in no earlier batch, if there are any.

    Returns the batch's id, or None, its number of queries, and the number of excluded queries of this lineage by
    reason. All complete shards count, not only this run's: queries built by an earlier failed run are included. Left
    out are the shards that the gate found unhealthy; they come with the run that mends them. A run that was deleted and
    is triggered again for its date leaves the batch of the deleted one as it is.
    """
    from hopchain_etl.annotation import batches  # the other tasks do without
    from hopchain_etl.annotation.eligibility import excluded_queries
    from hopchain_etl.annotation.unasked import unassigned_queries

    build = Build(settings_for(params))
    unhealthy = {Shard.parse(shard) for shard in gate["unhealthy"]}
    with batches.exclusively(build.lake) as create:
        name = batches.name_for(build.lake, intake_name(run), run.run_id)
        excluded = excluded_queries(build).without_shards(unhealthy)
        new = unassigned_queries(build.lake, build.lineage, excluded, besides=name)
        if not new:
            return _published(build, None, (), excluded.reasons())
        query_ids = tuple(dict.fromkeys(query for found in new.values() for query in found))
        policy = batches.policy_of(build.settings.desk)
        batch = create(
            batches.Batch(name, run.run_id, query_ids, policy, lineage=build.lineage, shards=tuple(map(str, new)))
        )
    return _published(build, batch.id, batch.query_ids, excluded.reasons())


def _published(build: Build, name: str | None, query_ids: Sequence[str], held_back: JSON) -> JSON:
    published = {"id": name, "queries": len(query_ids), "held_back": held_back}
    reports.report_batch(build, published)
    return published


def record_run(params: Params, run: DagRun, ingested: JSON, groups: Groups, gate: JSON, batch: JSON) -> JSON:
    """Write ``runs/<run_id>.json`` (what ran, what failed, under which fingerprints) and return its counts.

    A run that is cleared finds most of its work done, so what its earlier attempts recorded stays. The ``shards`` that
    are returned are those of this attempt.
    """
    build, key = Build(settings_for(params)), f"runs/{run_key(run)}.json"
    now = [Shard.parse(shard) for group in groups for shard in group]
    fingerprints = {name: step.fingerprint for name, step in build.steps.items()}
    earlier = _earlier_record(build.lake, key, run, fingerprints)
    planned = sorted({*now, *map(Shard.parse, earlier.get("shards", ()))})
    taken_in = ingested if ingested["shards"] else earlier.get("ingest", ingested)
    steps = build.steps.items()
    by_stage = {name: _markers(build.lake, step.stage.table, step.fingerprint, planned) for name, step in steps}
    counts = _counts(build, planned, taken_in, by_stage)
    statistics = build_statistics(build, run_key(run), planned, by_stage)
    document = {
        "run_id": run.run_id,
        "dag": "hopchain_build",
        "params": dict(params),
        "run_after": run.run_after.astimezone(UTC).isoformat(),
        "ingest": taken_in,
        "intakes": sorted({shard.intake for shard in planned}),
        "shards": [str(shard) for shard in planned],
        "fingerprints": fingerprints,
        "counts": counts,
        "statistics": statistics.to_json(),
        "gate": gate,
        "batch": batch,
    }
    build.lake.put_json(key, document)
    reports.report_record(build, key, counts)
    orchestrate = build.settings.orchestrate
    markers = {name: [found[shard] for shard in now if shard in found] for name, found in by_stage.items()}
    for notice in (*watch.rejects(orchestrate, markers), *watch.quiet(build.lake, orchestrate, ingested["ok"])):
        notices.tell(orchestrate, notice)
    drift = watch.drift(build, statistics) if now else ""
    outcome = {"shards": len(now), "batch": batch["id"], "unhealthy": len(gate["unhealthy"]), "drift": drift}
    return {**counts, **outcome}


def _earlier_record(lake: Lake, key: str, run: DagRun, fingerprints: dict[str, str]) -> JSON:
    """Return what an earlier attempt of a run recorded under the same fingerprints; empty if there is none."""
    found: JSON = lake.get_json(key) or {}
    is_same = (found.get("run_id"), found.get("fingerprints")) == (run.run_id, fingerprints)
    return found if is_same else {}


def _markers(lake: Lake, table: str, fingerprint: str | None, planned: Sequence[Shard]) -> dict[Shard, Marker]:
    found = map_threads(lambda shard: lake.marker(table, fingerprint, shard), planned)
    return {shard: marker for shard, marker in zip(planned, found, strict=True) if marker}


def _counts(
    build: Build, planned: Sequence[Shard], ingested: JSON, by_stage: Mapping[str, Mapping[Shard, Marker]]
) -> JSON:
    """Return a run's totals: queries (rows), images, and the inputs of ingest and all stages that were not ok."""
    every = [marker for found in by_stage.values() for marker in found.values()]
    return {
        "shards": len(planned),
        "images": sum(marker.ok for marker in _markers(build.lake, "images", None, planned).values()),
        "rows": sum(part.rows for marker in by_stage["generate"].values() for part in marker.parts),
        "rejected": ingested["rejected"] + sum(marker.rejected for marker in every),
        "failed": ingested["failed"] + sum(marker.failed for marker in every),
        "quarantined": ingested.get("quarantined", 0) + sum(marker.quarantined for marker in every),
        "lineage": build.lineage,
    }


def task_log() -> Any:
    """Return the logger of events with fields, which Airflow shows and stores with the task's log."""
    import structlog

    return structlog.get_logger("hopchain_etl")
