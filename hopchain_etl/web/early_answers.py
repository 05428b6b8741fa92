"""EarlyAnswers: holds early answers to the approval of a release back, so that Airflow does not lose them.

In Airflow 3.3 the task writes its question, parks (``awaiting_input``), and its process ends. An answer between parking
and the moment when the scheduler hears of that end makes the scheduler take the resumed task for one that was killed:
it fails the try, and the retry asks again, although the page has said that the answer was taken. A request that waits
here shows the page as busy; then Airflow stores the answer and confirms it.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

SETTLED_SECONDS = 10.0  # after its question, a task is parked and its end is known to the scheduler
_LONGEST_SECONDS = 30.0  # that an answer is held back
_POLL_SECONDS = 0.5
_ANSWER = re.compile(
    r"/api/v2/dags/(?P<dag_id>hopchain_release)/dagRuns/(?P<run_id>[^/]+)"
    r"/taskInstances/(?P<task_id>approve)/-1/hitlDetails/?"
)


class EarlyAnswers:
    """ASGI middleware of Airflow's API server; every other request passes at once."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        is_patch = scope["type"] == "http" and scope["method"] == "PATCH"
        if is_patch and (answer := _ANSWER.search(scope["path"])):
            deadline = time.monotonic() + _LONGEST_SECONDS
            while time.monotonic() < deadline and await run_in_threadpool(_is_fresh, **answer.groupdict()):
                await asyncio.sleep(_POLL_SECONDS)
        await self._app(scope, receive, send)


def _is_fresh(dag_id: str, run_id: str, task_id: str) -> bool:
    """Return whether a task has asked just now, or has not parked yet."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    asked = (
        select(TaskInstance.state, HITLDetail.created_at)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
    )
    with create_session() as session:
        found = session.execute(asked).first()
    if found is None:
        return False
    age: float = (datetime.now(UTC) - found.created_at).total_seconds()
    return found.state == "running" or (found.state == "awaiting_input" and age < SETTLED_SECONDS)
