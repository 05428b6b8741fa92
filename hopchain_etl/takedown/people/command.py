"""Erases and exports a person in lake and registry, for the command line and the DAG hopchain_admin."""

from __future__ import annotations

from functools import partial
from typing import Any

from hopchain_etl.annotation.pseudonyms import pseudonym
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from hopchain_etl.takedown.people import erase as in_lake
from hopchain_etl.takedown.people.erase import PersonError, Votes
from hopchain_etl.takedown.people.registry import rename_in_registry, rows_in_registry

JSON = dict[str, Any]


def what_erase_changes(settings: Settings, name: str, votes: Votes) -> JSON:
    """Return how much is held about a person, by kind; changes nothing.

    ``refused`` says why an erase is not possible now, and is empty if it is. ``computed again`` are settled batches
    that lose votes.
    """
    lake = Lake(settings.lake)
    refused = ""
    try:
        _check(settings, lake, name, votes)
    except PersonError as error:
        refused = str(error)
    again = in_lake.recounted(lake, name) if votes == "drop" else []
    released = sum(1 for _ in _released(settings, lake, name))
    return {"held": in_lake.held(lake, name), "released": released, "computed again": again, "refused": refused}


def erase_person(settings: Settings, name: str, votes: Votes) -> JSON:
    """Take a person out of lake and registry; return what ``erase.erase`` does. Raises PersonError if it may not be.

    If nothing is held about them, nothing is changed and ``changed`` is empty.
    """
    lake = Lake(settings.lake)
    begun = in_lake.is_unfinished(lake, name)
    if not begun:
        _check(settings, lake, name, votes)
        if not in_lake.is_held(lake, name) and next(iter(_released(settings, lake, name)), None) is None:
            return {"pseudonym": None, "votes": votes, "changed": {}, "remains": []}
    registry = partial(_rename, settings, lake) if settings.registry.git_url else None
    return in_lake.erase(lake, name, votes, registry=registry)


def _check(settings: Settings, lake: Lake, name: str, votes: Votes) -> None:
    if named := sorted(_named_in(settings, name)):
        raise PersonError(
            f"{name} may still log in: remove them from {', '.join(named)} and from Airflow's users first. Who logs in "
            "later under the same name is somebody new to the desk"
        )
    in_lake.check_may_be_erased(lake, name, votes)


def _named_in(settings: Settings, name: str) -> set[str]:
    """Return the settings that name a person."""
    desk, approvers = settings.desk, settings.orchestrate.approvers
    entries = {"desk.annotators": desk.annotators, "desk.leads": desk.leads, "desk.viewers": desk.viewers}
    found = {setting for setting, names in entries.items() if f"user:{name}" in names}
    return found | ({"orchestrate.approvers"} if name in approvers else set())


def _rename(settings: Settings, lake: Lake, old: str, new: str) -> JSON:
    before, after = pseudonym(lake, old), pseudonym(lake, new)
    return rename_in_registry(settings, before, after) if before and after else {}


def _released(settings: Settings, lake: Lake, name: str) -> Any:
    known = pseudonym(lake, name) if settings.registry.git_url else None
    return rows_in_registry(settings, known) if known else ()
