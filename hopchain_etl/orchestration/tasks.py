"""The functions of the Airflow tasks: each takes the run's params and returns small JSON for XCom.

Only shard ids are passed between tasks, never rows. Permanent errors fail the task without a retry
(AirflowFailException).
"""

from __future__ import annotations

import itertools
import logging
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from types import FrameType
from typing import Any, Protocol

from hopchain_etl.annotation import batches, restored, voiding
from hopchain_etl.annotation import collect as collecting
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.eligibility import excluded_queries
from hopchain_etl.annotation.unasked import unassigned_queries
from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import TokenCeilingError
from hopchain_etl.lake.lake import Lake, Marker, Shard, check_intake, key_part
from hopchain_etl.orchestration import dag_config, notices, remote_python, reports, telemetry, watch
from hopchain_etl.orchestration.run_params import JSON, Params, build_for, settings_for
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.shard_errors import ShardsRejectedError
from hopchain_etl.pipeline.statistics import build_statistics
from hopchain_etl.quality import validator
from hopchain_etl.settings import Settings
from hopchain_etl.stages.logged_progress import LoggedProgress

log = logging.getLogger(__name__)

Groups = Sequence[Sequence[str]]  # ids of shards: each group is one mapped task of a stage

_DESK = "/hopchain"  # where the plugin mounts the pages


class DagRun(Protocol):
    """The used attributes of Airflow's DAG run. A manual run may have no logical date."""

    run_id: str
    logical_date: datetime | None
    run_after: datetime


def intake_name(run: DagRun) -> str:
    """Return the intake name of a run, the same in every retry: its date, such as 2026-11-22T020000."""
    when = (run.logical_date or run.run_after).astimezone(UTC).replace(tzinfo=None)
    return check_intake(re.sub(r"[^A-Za-z0-9._-]", "", when.isoformat()))


def run_key(run: DagRun) -> str:
    """Return a run's id as a part of S3 keys."""
    return key_part(run.run_id)


@contextmanager
def fail_without_retry(*kinds: type[Exception]) -> Iterator[None]:
    """Convert errors of these types to AirflowFailException, which is not retried."""
    try:
        yield
    except kinds as error:
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets: Airflow sends SIGTERM first and kills the task a few seconds later."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGTERM)

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, request_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


# --- hopchain_build ---


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
                ran = remote_python.run(python, name, group, settings, stop, retry_quarantined=build.retry_quarantined)
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
    out are the shards that the gate found unhealthy; they come with the run that mends them.
    """
    build = Build(settings_for(params))
    name = intake_name(run)
    unhealthy = {Shard.parse(shard) for shard in gate["unhealthy"]}
    with batches.exclusively(build.lake) as create:
        excluded = excluded_queries(build).without_shards(unhealthy)
        new = unassigned_queries(build.lake, build.lineage, excluded, besides=name)
        if not new:
            return _published(build, None, (), excluded.reasons())
        query_ids = tuple(dict.fromkeys(query for found in new.values() for query in found))
        policy = batches.policy_of(build.settings.desk)
        batch = create(Batch(name, run.run_id, query_ids, policy, lineage=build.lineage, shards=tuple(map(str, new))))
    return _published(build, batch.id, batch.query_ids, excluded.reasons())


def _published(build: Build, name: str | None, query_ids: Sequence[str], held_back: JSON) -> JSON:
    published = {"id": name, "queries": len(query_ids), "held_back": held_back}
    reports.report_batch(build, published)
    return published


def record_run(params: Params, run: DagRun, ingested: JSON, groups: Groups, gate: JSON, batch: JSON) -> JSON:
    """Write ``runs/<run_id>.json`` (what ran, what failed, under which fingerprints) and return its counts."""
    build = Build(settings_for(params))
    planned = [Shard.parse(shard) for group in groups for shard in group]
    steps = build.steps.items()
    by_stage = {name: _markers(build.lake, step.stage.table, step.fingerprint, planned) for name, step in steps}
    counts = _counts(build, planned, ingested, by_stage)
    statistics = build_statistics(build, run_key(run), planned, by_stage)
    document = {
        "run_id": run.run_id,
        "dag": "hopchain_build",
        "params": dict(params),
        "run_after": run.run_after.astimezone(UTC).isoformat(),
        "ingest": ingested,
        "intakes": sorted({shard.intake for shard in planned}),
        "shards": [str(shard) for shard in planned],
        "fingerprints": {name: step.fingerprint for name, step in build.steps.items()},
        "counts": counts,
        "statistics": statistics.to_json(),
        "gate": gate,
        "batch": batch,
    }
    build.lake.put_json(key := f"runs/{run_key(run)}.json", document)
    reports.report_record(build, key, counts)
    orchestrate = build.settings.orchestrate
    markers = {name: found.values() for name, found in by_stage.items()}
    for notice in (*watch.rejects(orchestrate, markers), *watch.quiet(build.lake, orchestrate, ingested["ok"])):
        notices.tell(orchestrate, notice)
    drift = watch.drift(build, statistics) if planned else ""
    return {**counts, "batch": batch["id"], "unhealthy": len(gate["unhealthy"]), "drift": drift}


def announce_queries(counts: JSON) -> JSON:
    """Return the payload of the asset event of a run; skip the task if the run built nothing."""
    if not counts["shards"]:
        skip("no shard was processed; the queries have not changed")
    return {name: count for name, count in counts.items() if name != "drift"}


def judge_run(params: Params, gate: JSON, counts: JSON) -> None:
    """Fail the run, or only warn, if the gate found unhealthy shards (``quality.gate``) or its figures drift.

    All else is published by then. The settings are ``quality.gate`` and ``quality.drift``.
    """
    settings = settings_for(params)
    unhealthy = notices.Notice(
        "gate",
        f"{len(gate['unhealthy'])} shards did not pass the quality gate",
        gate["message"],
        {"shards": gate["unhealthy"]},
    )
    drifted = notices.Notice("drift", "the figures of a build are not the usual ones", counts["drift"])
    found = [
        (one, how) for one, how in ((unhealthy, settings.quality.gate), (drifted, settings.quality.drift)) if one.text
    ]
    for notice, how in found:
        if how == "warn":
            log.warning(notice.text)
            notices.tell(settings.orchestrate, notice)
    if against := [notice.text for notice, how in found if how == "fail"]:
        with fail_without_retry(validator.QualityError):
            raise validator.QualityError("\n".join(against))


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


# --- hopchain_collect ---


def collect() -> list[JSON]:
    """Compact the annotators' answers; return the progress of the batches that have just become final."""
    settings = Settings()
    lake = Lake(settings.lake)
    voiding.finish(lake)
    restored.reopen_restored(lake)
    final = collecting.collect(lake, validator.make_validator(settings.quality))
    orchestrate = settings.orchestrate
    about = watch.about_batches(lake, orchestrate), watch.approval_due(lake, orchestrate, dag_config.waiting_releases)
    for notice in itertools.chain(*about):
        notices.tell(orchestrate, notice)
    telemetry.send_open_questions(lake)
    told = [asdict(progress) for progress in final]
    reports.report_collect(lake, told)
    return told


def announce_answers(final: Sequence[JSON]) -> JSON:
    """Record batches as decided and return the payload of the asset event; skip the task if there are none.

    This is recorded last, so that a batch whose event was not sent is found again by the next run. A batch whose votes
    have changed since it was collected (a vote was taken back, an annotator was voided) is left to the next run; so is
    one that cannot be read.
    """
    lake = Lake(Settings().lake)
    settled = [progress for progress in final if _settle(lake, progress)]
    if not settled:
        skip("no batch was decided or closed since the last run")
    counts = ("kept", "dropped", "open", "withdrawn")
    totals = {name: sum(progress[name] for progress in settled) for name in counts}
    return {"batches": [progress["id"] for progress in settled], **totals}


def _settle(lake: Lake, progress: JSON) -> bool:
    try:
        return collecting.settle(lake, progress)
    except batches.UNREADABLE:
        log.exception("batch %s cannot be settled; the other batches are", progress["id"])
        return False


# --- hopchain_release ---


def propose(params: Params, run: DagRun) -> JSON:
    """Make what a release would publish and store it as this run's proposal; skip if there would be no version.

    Returns its id, its tags and, as Markdown, the figures that a person is shown before anything is pushed.
    """
    from hopchain_etl.release import proposal

    with fail_without_retry(ValueError, validator.QualityError):
        settings = settings_for(params)
        made = proposal.propose(settings, run_key(run), force=bool(params.get("force")))
    if isinstance(made, str):
        skip(f"no new version: {made}")
    assert isinstance(made, proposal.Proposal)
    page = f"[Card, changes and examples]({_DESK}/proposals/{made.name})"
    reports.report_release(settings, made.versions)
    return {"id": made.name, "tags": [one["tag"] for one in made.versions], "summary": f"{made.summary}\n{page}\n"}


def release(params: Params, proposed: JSON | None, run: DagRun) -> JSON:
    """Publish the training set (snapshot, assemble, validate, card, push, tag); return the facts of PublishResult.

    With ``approval``, publish exactly what this run has proposed (``propose``); skip if that was nothing.
    """
    from hopchain_etl.release import proposal, registry

    settings = settings_for(params)
    if params.get("approval") and not proposed:
        skip("nothing was proposed")
    with fail_without_retry(ValueError, validator.QualityError, proposal.ProposalError):
        shown = proposal.load(Lake(settings.lake), proposed["id"]) if proposed else None
        result = registry.publish(settings, force=bool(params.get("force")), proposal=shown, run=run_key(run))
    versions = [
        {**asdict(version), "tag": version.tag, "changes": version.changes.counts} for version in result.releases
    ]
    reports.report_release(settings, versions)
    facts = {name: getattr(result, name) for name in ("changed", "tag", "version", "rows", "pushed_bytes", "note")}
    return {**facts, "releases": versions, "new_parts": len(result.new_parts)}


def announce_release(published: JSON) -> JSON:
    """Return the payload of the asset event of a release; skip the task if there is no new version."""
    if not published["changed"]:
        skip(f"no new version: {published['note']}")
    return published


def task_log() -> Any:
    """Return the logger of events with fields, which Airflow shows and stores with the task's log."""
    import structlog

    return structlog.get_logger("hopchain_etl")


def skip(why: str) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    raise AirflowSkipException(why)
