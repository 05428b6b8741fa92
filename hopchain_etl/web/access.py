"""Authentication and authorisation, based on the Airflow user of the session and the settings, never on request bodies.

Works with any auth manager: names are ``get_name()`` of its users, roles their ``role`` or ``roles``.
"""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.errors import NotAllowed, NotLoggedIn, Voided


@dataclass(frozen=True)
class Person:
    """A logged-in user, with their permissions."""

    name: str
    annotates: bool
    leads: bool
    browses: bool  # the dataset browser, which shows provisional answers


def person(user: Any, settings: DeskSettings) -> Person:
    """Return the permissions of an Airflow user; raise NotLoggedIn for one without a name."""
    name = str(user.get_name() or user.get_id() or "").strip() if user is not None else ""
    if not name:
        raise NotLoggedIn("log in to Airflow first")
    marks = {"*", f"user:{name}", *(f"role:{role.casefold()}" for role in _roles(user))}
    annotates, leads = _matches(settings.annotators, marks), _matches(settings.leads, marks)
    # Annotators must never see the program's answers, even if the setting lists them as viewers.
    return Person(name, annotates, leads, leads or (_matches(settings.viewers, marks) and not annotates))


def _matches(entries: Iterable[str], marks: set[str]) -> bool:
    """Return whether one of the setting's entries matches; role names are case-insensitive, user names are not."""
    return any((entry.casefold() if entry.startswith("role:") else entry) in marks for entry in entries)


def _roles(user: Any) -> list[str]:
    """Return the names of a user's roles, as the simple auth manager (``role``) and FAB (``roles``) keep them."""
    one, many = getattr(user, "role", None), getattr(user, "roles", None)
    found = [one] if isinstance(one, str) else []
    if isinstance(many, (list, tuple, set, frozenset)):
        found += [role if isinstance(role, str) else str(getattr(role, "name", "")) for role in many]
    return [role for role in found if role]


async def airflow_user(request: Request) -> Any:
    """Return the Airflow user of the request's session; raises NotLoggedIn if there is none.

    The only place that calls Airflow. Tests and the benchmark replace this function.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
    from fastapi import HTTPException

    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:  # any rejection by Airflow (expired, invalid, revoked) requires a new login
        raise NotLoggedIn(str(error.detail)) from error


def access_dependencies(
    settings: DeskSettings, user: Callable[..., Awaitable[Any]], is_voided: Callable[[str], bool]
) -> tuple[Any, Any, Any, Any]:
    """Return FastAPI dependencies that give a Person: annotator, lead, viewer, and any of these."""

    async def anybody(found: Annotated[Any, Depends(user)]) -> Person:
        one = person(found, settings)
        if not one.annotates and not one.browses:
            raise NotAllowed("you are neither an annotator nor a lead here; ask the Airflow administrator")
        return one

    async def annotator(one: Annotated[Person, Depends(anybody)]) -> Person:
        if not one.annotates:
            raise NotAllowed("you are not an annotator here; ask a lead")
        if await run_in_threadpool(is_voided, one.name):
            raise Voided("your answers are no longer counted; talk to your lead")
        return one

    async def lead(one: Annotated[Person, Depends(anybody)]) -> Person:
        if not one.leads:
            raise NotAllowed(f"{one.name} is not a lead here")
        return one

    async def viewer(one: Annotated[Person, Depends(anybody)]) -> Person:
        if not one.browses:
            raise NotAllowed(f"{one.name} may not open the dataset browser: it shows answers")
        return one

    return annotator, lead, viewer, anybody
