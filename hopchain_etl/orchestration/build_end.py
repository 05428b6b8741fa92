"""The last tasks of ``hopchain_build``: the event of a run, and whether it failed.

They read nothing but what earlier tasks returned, so nothing heavy is imported here: that would take longer than they.
"""

from __future__ import annotations

import logging

from hopchain_etl.errors import ReportedError
from hopchain_etl.orchestration import notices
from hopchain_etl.orchestration.run_params import JSON, Params, settings_for
from hopchain_etl.orchestration.task_ends import fail_without_retry, skip

log = logging.getLogger(__name__)


class UnusualBuildError(ReportedError):
    """Shards did not pass the quality gate, or the figures of a build are not the usual ones."""


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
        with fail_without_retry(UnusualBuildError):
            raise UnusualBuildError("\n".join(against))
