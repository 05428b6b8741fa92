"""Notification of failed tasks: an Airflow callback that posts to a webhook."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

_WEBHOOK_SECONDS = 10
_ERROR_LENGTH = 500  # maximum characters of an error in a webhook payload


def notify_failure(connection: str) -> Callable[[Mapping[str, Any]], None]:
    """Return a callback that posts a failed task as JSON to an Airflow Connection of type ``http``."""
    return functools.partial(_post_failure, connection)


def _post_failure(connection: str, context: Mapping[str, Any]) -> None:
    """Post the failed task. Never raises, because an unavailable webhook must not hide the original failure."""
    try:
        from airflow.providers.http.hooks.http import HttpHook

        HttpHook("POST", http_conn_id=connection).run(
            json=failure(context), extra_options={"timeout": _WEBHOOK_SECONDS}
        )
    except Exception:
        log.exception("the failure was not posted to Airflow Connection %r", connection)


def failure(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a failed task as plain JSON: DAG, run, task, map index, attempt, start of the error, and log URL."""
    task, error = context["ti"], context.get("exception")
    return {
        "dag": task.dag_id,
        "run": task.run_id,
        "task": task.task_id,
        "map_index": task.map_index,
        "try": task.try_number,
        "error": f"{type(error).__name__}: {error}"[:_ERROR_LENGTH] if error else None,
        "log": getattr(task, "log_url", None),
    }
