"""Notices: what somebody should know, sent by Airflow's notifiers (mail, Slack, ...) and to a webhook.

A notice has an event, a title, a text and facts. Sending never raises: a notifier that is down must neither hide the
failure that it was to report nor fail a build.
"""

from __future__ import annotations

import functools
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hopchain_etl import airflow_connections
from hopchain_etl.settings import NotifierSettings, OrchestrateSettings, Settings

if TYPE_CHECKING:
    from hopchain_etl.lake.lake import Lake

log = logging.getLogger(__name__)

_WEBHOOK_SECONDS = 10
_ERROR_LENGTH = 500  # maximum characters of an error in a notice
_CEILING = "TokenCeilingError"
TOLD = "notices/"  # in the lake: marks of what was told once

Context = Mapping[str, Any]  # of an Airflow task


@dataclass(frozen=True)
class Notice:
    """Something to know. ``event``: one of those in the setting ``orchestrate.notifiers``."""

    event: str
    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the notice as plain JSON, for a webhook."""
        return {"event": self.event, "title": self.title, "text": self.text, **self.facts}


def tell(settings: OrchestrateSettings, notice: Notice, context: Context | None = None) -> None:
    """Send a notice to the webhook and to each notifier that wants its event; what fails is logged.

    Notifiers render their arguments with the task's context (default: that of the running task) and ``notice``.
    """
    log.info("notice: %s. %s", notice.title, notice.text)
    if settings.failure_webhook_connection:
        _try("webhook", lambda: _post(settings.failure_webhook_connection or "", notice))
    for one in settings.notifiers:
        if not one.events or notice.event in one.events:
            _try(one.notifier, functools.partial(_notify, one, notice, context))


def is_first(lake: Lake, event: str, name: str) -> bool:
    """Return whether nobody has told this before, and mark it as told: ``notices/<event>/<name>.json`` in the lake."""
    from hopchain_etl.lake.lake import key_part

    teller = {"by": uuid.uuid4().hex}  # the same bytes again would count as written by us
    return lake.store.put_if_absent(f"{TOLD}{event}/{key_part(name)}.json", json.dumps(teller).encode())


def on_failure(settings: Settings) -> Callable[[Context], None]:
    """Return Airflow's callback for failed tasks: it sends a notice ``failure``, or ``token_ceiling`` once a run."""
    return functools.partial(_tell_failure, settings)


def _tell_failure(settings: Settings, context: Context) -> None:
    notice = failure(context)
    if notice.event == "token_ceiling" and _is_told(settings, context):
        log.info("%s: the notice of this run is sent already", notice.title)
        return
    tell(settings.orchestrate, notice, context)


def _is_told(settings: Settings, context: Context) -> bool:
    """Return whether another task of this run has told that its tokens are spent; a run that was cleared tells again.

    Where the lake cannot be reached it is not: better told twice than never.
    """
    from hopchain_etl.lake.lake import Lake

    task, run = context["ti"], context.get("dag_run")
    try:
        name = f"{task.dag_id}-{task.run_id}-{getattr(run, 'clear_number', 0)}"
        return not is_first(Lake(settings.lake), "token_ceiling", name)
    except Exception:
        log.exception("whether this notice was sent before is not known")
        return False


def failure(context: Context) -> Notice:
    """Return the notice of a failed task: DAG, run, task, map index, attempt, start of the error, and log URL."""
    task, error = context["ti"], context.get("exception")
    message = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH] if error else None
    facts = {
        "dag": task.dag_id,
        "run": task.run_id,
        "task": task.task_id,
        "map_index": task.map_index,
        "try": task.try_number,
        "error": message,
        "log": getattr(task, "log_url", None),
    }
    event = "token_ceiling" if message and _CEILING in message else "failure"
    title = f"{task.dag_id}: {task.task_id} failed"
    return Notice(event, title, message or "no error was recorded", facts)


def approval_notifiers(settings: OrchestrateSettings) -> list[Any]:
    """Return the notifiers of an operator that waits for approval: they say that it does."""
    from airflow.sdk import BaseNotifier

    class TellApproval(BaseNotifier):  # type: ignore[misc, unused-ignore]
        def notify(self, context: Any) -> None:
            task = context["task"]
            if context["ti"].try_number > 1:  # a retry asks the same again
                return
            tell(settings, Notice("approval", task.subject, task.body, {"run": context["ti"].run_id}), context)

    return [TellApproval()]


def _post(connection: str, notice: Notice) -> None:
    airflow_connections.read(connection)  # one line of what is wrong, where it cannot be read
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook("POST", http_conn_id=connection)
    hook.run(json=notice.to_json(), extra_options={"timeout": _WEBHOOK_SECONDS})


def _notify(one: NotifierSettings, notice: Notice, context: Context | None) -> None:
    module, _, name = one.notifier.rpartition(".")
    notifier = getattr(import_module(module), name)(**one.arguments)
    if context is None:
        from airflow.sdk import get_current_context

        context = get_current_context()
    notifier({**context, "notice": notice})


def _try(name: str, send: Callable[[], None]) -> None:
    try:
        send()
    except airflow_connections.UnreadableConnectionError as error:
        log.error("a notice was not sent by %s: %s", name, error)  # noqa: TRY400
    except Exception:
        log.exception("a notice was not sent by %s", name)
