"""The tasks of ``hopchain_collect``."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import asdict

from hopchain_etl.annotation import batches, restored, voiding
from hopchain_etl.annotation import collect as collecting
from hopchain_etl.lake.lake import Lake
from hopchain_etl.orchestration import dag_config, notices, reports, telemetry, watch
from hopchain_etl.orchestration.run_params import JSON
from hopchain_etl.orchestration.task_ends import skip
from hopchain_etl.quality import validator
from hopchain_etl.settings import Settings

log = logging.getLogger(__name__)


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
