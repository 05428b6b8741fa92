"""Who somebody is and what he may do: the Airflow user of the session, and the settings. Nothing a request says.

Works with any auth manager: names are ``get_name()`` of its users, roles whatever they carry as ``role`` or ``roles``.
"""

# Annotations are evaluated at once: FastAPI finds no dependency that is local to a function otherwise.

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.errors import NotAllowed, NotLoggedIn, Voided


@dataclass(frozen=True)
class Person:
    """A logged-in user, with what the settings let him do."""

    name: str
    annotates: bool
    leads: bool
    browses: bool  # the dataset browser, which shows provisional answers


def person(user: Any, settings: DeskSettings) -> Person:
    """Return what an Airflow user may do here; raise NotLoggedIn for one without a name."""
    name = str(user.get_name() or user.get_id() or "").strip() if user is not None else ""
    if not name:
        raise NotLoggedIn("log in to Airflow first")
    marks = {"*", f"user:{name}", *(f"role:{role.casefold()}" for role in _roles(user))}
    annotates, leads = _any(settings.annotators, marks), _any(settings.leads, marks)
    # Whoever answers questions must not see what the program answered, whatever the setting says.
    return Person(name, annotates, leads, leads or (_any(settings.viewers, marks) and not annotates))


def _any(entries: Iterable[str], marks: set[str]) -> bool:
    """Return whether one of the setting's entries is meant; role names have no case, user names do."""
    return any((entry.casefold() if entry.startswith("role:") else entry) in marks for entry in entries)


def _roles(user: Any) -> list[str]:
    """Return the names of a user's roles, as the simple auth manager (``role``) and FAB (``roles``) keep them."""
    one, many = getattr(user, "role", None), getattr(user, "roles", None)
    found = [one] if isinstance(one, str) else []
    if isinstance(many, (list, tuple, set, frozenset)):
        found += [role if isinstance(role, str) else str(getattr(role, "name", "")) for role in many]
    return [role for role in found if role]


async def airflow_user(request: Request) -> Any:
    """Return the Airflow user of the request's session; raises NotLoggedIn where there is none.

    The one place that asks Airflow. Tests and the benchmark put another function in its place.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
    from fastapi import HTTPException

    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:  # whatever Airflow objects to (expired, broken, revoked): log in again
        raise NotLoggedIn(str(error.detail)) from error


def access_dependencies(
    settings: DeskSettings, user: Callable[..., Awaitable[Any]], is_voided: Callable[[str], bool]
) -> tuple[Any, Any, Any, Any]:
    """Return dependencies, each a Person: who may annotate, who may lead, who may browse, and any of them."""

    async def anybody(found: Annotated[Any, Depends(user)]) -> Person:
        one = person(found, settings)
        if not one.annotates and not one.browses:
            raise NotAllowed(f"{one.name} is neither an annotator nor a lead here; ask whoever runs this Airflow")
        return one

    async def annotator(one: Annotated[Person, Depends(anybody)]) -> Person:
        if not one.annotates:
            raise NotAllowed(f"{one.name} is not an annotator here; a lead decides who is")
        if await run_in_threadpool(is_voided, one.name):
            raise Voided("your answers are no longer counted; talk to your lead")
        return one

    async def lead(one: Annotated[Person, Depends(anybody)]) -> Person:
        if not one.leads:
            raise NotAllowed(f"{one.name} does not lead here")
        return one

    async def viewer(one: Annotated[Person, Depends(anybody)]) -> Person:
        if not one.browses:
            raise NotAllowed(f"{one.name} may not open the dataset browser: it shows answers")
        return one

    return annotator, lead, viewer, anybody
