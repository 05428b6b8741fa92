"""The tasks of ``hopchain_release``."""

from __future__ import annotations

from dataclasses import asdict

from hopchain_etl.lake.lake import Lake
from hopchain_etl.orchestration import reports
from hopchain_etl.orchestration.dag_run import DagRun, run_key
from hopchain_etl.orchestration.run_params import JSON, Params, settings_for
from hopchain_etl.orchestration.task_ends import fail_without_retry, skip
from hopchain_etl.quality import validator

_DESK = "hopchain"  # where the plugin mounts the pages, below whatever address Airflow has


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

    if params.get("approval") and not proposed:
        skip("nothing was proposed")
    with fail_without_retry(ValueError, validator.QualityError, proposal.ProposalError):
        settings = settings_for(params)
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
