"""Reads Airflow Connections, and says in one line why a process cannot.

Airflow 3 hands Connections of its database to tasks and to its own servers. Any other process, such as a command in a
shell, has only those of the environment (``AIRFLOW_CONN_<ID>``) and of a secrets backend.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from hopchain_etl.errors import ReportedError
from hopchain_etl.settings import Settings

_FIELDS = ("conn_type", "description", "host", "port", "schema", "login", "password", "extra")  # of a Connection's JSON


class UnreadableConnectionError(ReportedError):
    """An Airflow Connection that a setting names cannot be used here; the message ends with ``; <remedy>``."""


def read(name: str) -> Any:
    """Return an Airflow Connection; raise UnreadableConnectionError if this process has none of that name."""
    try:
        _import_airflow()
        from airflow.sdk import BaseHook
        from airflow.sdk.exceptions import AirflowException
    except ImportError as error:
        raise UnreadableConnectionError(
            f"{_named(name)} cannot be read, because Airflow is not installed here; install hopchain-etl[orchestrate], "
            "or name no Connection and give the keys by the environment"
        ) from error
    if _is_misread(os.environ.get(_variable(name), "")):
        raise UnreadableConnectionError(_why_not(name))
    try:
        return BaseHook.get_connection(name)
    except (AirflowException, PermissionError) as error:  # the second where Airflow's API refuses it
        raise UnreadableConnectionError(_why_not(name)) from error


def in_task() -> bool:
    """Return whether this process runs a task: it gets Connections through Airflow's API, and has no database."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None


def _import_airflow() -> None:
    """Import Airflow as a library: otherwise it opens its database, and its log goes to the stdout of a command."""
    if "airflow" in sys.modules:
        return
    os.environ["_AIRFLOW__AS_LIBRARY"] = "1"
    try:
        import airflow.sdk  # noqa: F401 imported for what it leaves in sys.modules
    finally:
        del os.environ["_AIRFLOW__AS_LIBRARY"]
    import structlog

    warnings = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=warnings, logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def _variable(name: str) -> str:
    return f"AIRFLOW_CONN_{name.upper()}"


def _is_misread(value: str) -> bool:
    """Return whether Airflow would make a Connection without keys of a text that is neither an object nor a URI.

    Quotes around a value do that: a shell removes them, ``docker run --env-file`` and Kubernetes do not. An empty text
    is as none.
    """
    return bool(value) and not re.match(r"\s*(\{|[A-Za-z][A-Za-z0-9_+.-]*://)", value)


def _why_not(name: str) -> str:
    variable = _variable(name)
    if os.environ.get(variable):
        wrong = f"correct {variable}, which is neither the JSON nor a URI of a Connection"
        return f"{_named(name)} cannot be read; {wrong}{_hint(os.environ[variable].strip())}"
    if in_task() or os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "server":
        return f"Airflow has no {_named(name)} for this process; create it (Admin, Connections), or correct its name"
    return (
        f"this process has no access to Airflow's {_named(name)}, because Airflow gives the Connections of its "
        f"database only to tasks; run the command by the DAG hopchain_admin, or give the Connection by {variable} or a "
        "secrets backend"
    )


def _hint(value: str) -> str:
    if value[:1] in ("'", '"'):
        return "; remove the quotes around it"
    if value.startswith("{"):
        try:
            unknown = sorted(json.loads(value).keys() - _FIELDS)
        except ValueError as error:  # which tells the place, not what is there
            return f": {error}"
        return f"; a Connection has no {', '.join(unknown)}, only {', '.join(_FIELDS)}" if unknown else ""
    return "; a / in a key is %2F there" if "://" in value else ""


def _named(name: str) -> str:
    """Return how messages name a Connection: with the first setting that names it."""
    setting = named_in(Settings()).get(name)
    return f"Connection {name!r}" + (f" (HOPCHAIN_{setting.replace('.', '__').upper()})" if setting else "")


def named_in(settings: Settings) -> dict[str, str]:
    """Return the names of all Connections in the settings, each with the first setting that names it."""
    found: dict[str, str] = {}
    for setting, name in _connections(settings):
        found.setdefault(name, setting)
    return found


def _connections(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting that names a Connection, dotted, with the name."""
    for field, value in section:
        if isinstance(value, BaseModel):
            yield from _connections(value, f"{prefix}{field}.")
        elif field.endswith("connection") and value:
            yield f"{prefix}{field}", value
