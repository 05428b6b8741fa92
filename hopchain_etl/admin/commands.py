"""The function of the task of hopchain_admin: runs one command, logs what it says, and returns its result as JSON."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict

from hopchain_etl.doctor import examine
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.orchestration.dag_run import DagRun, run_key
from hopchain_etl.orchestration.run_params import JSON, Params, without_blanks
from hopchain_etl.orchestration.task_ends import fail_without_retry
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.funnel import as_json, funnel, rejects_of
from hopchain_etl.reporting.report import write_report
from hopchain_etl.settings import Settings
from hopchain_etl.takedown import everywhere
from hopchain_etl.takedown.documents import REPORTS
from hopchain_etl.takedown.gc import gc_by_settings
from hopchain_etl.takedown.people.command import erase_person, what_erase_changes
from hopchain_etl.takedown.people.erase import PersonError
from hopchain_etl.takedown.people.export import export_as_zip

log = logging.getLogger(__name__)

_SHOWN = 50  # rejects or keys in a log
_LEVELS = {"ok": logging.INFO, "warning": logging.WARNING, "missing": logging.ERROR}


class MissingError(ReportedError):
    """Doctor found something that a run needs and that is not there."""


def run(params: Params, dag_run: DagRun) -> JSON:
    """Run the command that the form names and return its result, without secrets.

    ``gc``, ``erase`` and ``erase_person`` only say what they would do unless ``yes`` is set. Fails without a retry if
    the form lacks something, there is no such photo, the person cannot be erased, or doctor finds something missing.
    """
    with fail_without_retry(ValueError, LakeError, MissingError, PersonError):
        result = COMMANDS[params["command"]](Settings(), params, dag_run)
    log.info("%s: %s", params["command"], result)
    return result


def _doctor(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    states: dict[str, list[str]] = {state: [] for state in _LEVELS}
    for one in examine(settings):
        remedy = f"; to do: {one.remedy}" if one.remedy and one.state != "ok" else ""
        log.log(_LEVELS[one.state], "%s: %s: %s%s", one.what, one.state, one.detail, remedy)
        states[one.state].append(one.what)
    if states["missing"]:
        raise MissingError(f"missing: {', '.join(states['missing'])}; the log says what to do")
    return states


def _status(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    stages = as_json(funnel(Build(settings)))
    for stage in stages:
        log.info("%s", ", ".join(f"{name} {value}" for name, value in stage.items()))
    return {"stages": stages}


def _rejects(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    found = rejects_of(Build(settings), photo=params["photo"])
    for row in found[:_SHOWN]:
        what = row["uri"] or row["image_id"]
        log.info("%s: %s: %s: %s: %s", row["stage"], row["outcome"], row["reason"], what, row["detail"])
    if len(found) > _SHOWN:
        log.info("%d more are not shown; name a photo in the form", len(found) - _SHOWN)
    return {"rows": len(found), "reasons": dict(Counter(f"{row['stage']}: {row['reason']}" for row in found))}


def _report(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    build, key = Build(settings), f"{REPORTS}{run_key(dag_run)}.html"
    page = write_report(build).encode()
    build.lake.store.put(key, page)
    return {"at": build.lake.store.uri(key), "bytes": len(page)}


def _gc(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    found = gc_by_settings(settings, dry_run=not params["yes"], grace_seconds=params["grace_hours"] * 3600)
    what = "deleted" if params["yes"] else "would delete"
    for key in found.keys[:_SHOWN]:
        log.info("%s %s", what, key)
    for name, votes in sorted(found.packed.items()):
        log.info("%s %d votes of batch %s", "packed" if params["yes"] else "would pack", votes, name)
    for name, why in sorted(found.kept.items()):
        log.info("kept %s, because %s", name, why)
    return {what: len(found.keys), "bytes": found.size, "votes packed": sum(found.packed.values())}


def _withdraw(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    return asdict(everywhere.withdraw(settings, *_photo_and_reason(params)))


def _erase(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    photo, reason = _photo_and_reason(params)
    if params["yes"]:
        return {"erased": everywhere.erase(settings, photo, reason)}
    return {"would erase": everywhere.what_erase_removes(settings, photo)}


def _export_person(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    lake, key = Lake(settings.lake), f"{REPORTS}{run_key(dag_run)}.zip"
    data, counts = export_as_zip(settings, _person(params))
    lake.store.put(key, data)
    return {"at": lake.store.uri(key), "records": counts}


def _erase_person(settings: Settings, params: Params, dag_run: DagRun) -> JSON:
    name, votes = _person(params), params["votes"]
    if votes not in ("keep", "drop"):
        raise ValueError("erase_person needs what becomes of the votes; fill that field of the form")
    if params["yes"]:
        return {"erased": erase_person(settings, name, votes)}
    return {"would erase": what_erase_changes(settings, name, votes)}


def _person(params: Params) -> str:
    if not params["person"]:
        raise ValueError(f"{params['command']} needs a person; fill that field of the form")
    return str(without_blanks(params["person"]))


def _photo_and_reason(params: Params) -> tuple[str, str]:
    photo, reason = params["photo"], (params["reason"] or "").strip()
    if not photo or not reason:
        raise ValueError(f"{params['command']} needs a photo and a reason; fill both fields of the form")
    return photo, reason


COMMANDS: Mapping[str, Callable[[Settings, Params, DagRun], JSON]] = {
    "doctor": _doctor,
    "status": _status,
    "rejects": _rejects,
    "report": _report,
    "gc": _gc,
    "withdraw": _withdraw,
    "erase": _erase,
    "export_person": _export_person,
    "erase_person": _erase_person,
}
