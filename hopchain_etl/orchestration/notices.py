"""Notices: what somebody should know, sent by Airflow's notifiers (mail, Slack, ...) and to a webhook.

A notice has an event, a title, a text and facts. Sending never raises: a notifier that is down must neither hide the
failure that it was to report nor fail a build.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
class Mark:
    """An object in the lake that says that something was told: ``notices/<event>/<name>.json``."""

    lake: Lake
    key: str

    def take_back(self) -> None:
        """Let it be told again."""
        self.lake.store.delete([self.key])


@dataclass(frozen=True)
class Notice:
    """Something to know. ``event``: one of those in the setting ``orchestrate.notifiers``; ``mark``: if told once."""

    event: str
    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    mark: Mark | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the notice as plain JSON, for a webhook."""
        return {"event": self.event, "title": self.title, "text": self.text, **self.facts}


def tell(settings: OrchestrateSettings, notice: Notice, context: Context | None = None) -> None:
    """Send a notice to the webhook and to each notifier that wants its event; what fails is logged.

    Notifiers render their arguments with the task's context (default: that of the running task) and ``notice``. If all
    of them fail, what is told once is not marked as told.
    """
    log.info("notice: %s. %s", notice.title, notice.text)
    sent: list[bool] = []
    if settings.failure_webhook_connection:
        sent.append(_try("webhook", lambda: _post(settings.failure_webhook_connection or "", notice)))
    for one in settings.notifiers:
        if not one.events or notice.event in one.events:
            sent.append(_try(one.notifier, functools.partial(_notify, one, notice, context)))
    if notice.mark and sent and not any(sent):
        log.warning("nobody got this notice; it is sent again when it is found again: %s", notice.title)
        _try("taking its mark back", notice.mark.take_back)


def first(lake: Lake, event: str, name: str) -> Mark | None:
    """Mark something as told and return the mark; None if it was told before."""
    from hopchain_etl.lake.lake import key_part

    mark = Mark(lake, f"{TOLD}{event}/{key_part(name)}.json")
    teller = {"by": uuid.uuid4().hex}  # the same bytes again would count as written by us
    return mark if lake.store.put_if_absent(mark.key, json.dumps(teller).encode()) else None


def on_failure(settings: Settings) -> Callable[[Context], None]:
    """Return Airflow's callback for failed tasks: it sends a notice ``failure``, or ``token_ceiling`` once a run."""
    return functools.partial(_tell_failure, settings)


def _tell_failure(settings: Settings, context: Context) -> None:
    notice = failure(context)
    if notice.event == "token_ceiling":
        try:
            mark = _first_of_run(settings, context)
        except Exception:  # better told twice than never
            log.exception("whether this notice was sent before is not known")
        else:
            if mark is None:
                log.info("%s: the notice of this run is sent already", notice.title)
                return
            notice = replace(notice, mark=mark)
    tell(settings.orchestrate, notice, context)


def _first_of_run(settings: Settings, context: Context) -> Mark | None:
    """Return the mark of this run; None if another of its tasks has told this. A run that was cleared tells again."""
    from hopchain_etl.lake.lake import Lake, run_key

    task, run = context["ti"], context.get("dag_run")
    name = f"{task.dag_id}-{run_key(task.run_id)}-{getattr(run, 'clear_number', 0)}"
    return first(Lake(settings.lake), "token_ceiling", name)


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


def _post(name: str, notice: Notice) -> None:
    connection = airflow_connections.read(name)  # one line of what is wrong, where it cannot be read
    from airflow.providers.http.hooks.http import HttpHook
    from airflow.sdk.log import mask_secret

    address = webhook_address(connection)
    if path := urlsplit(address)._replace(scheme="", netloc="").geturl().rstrip("/"):
        mask_secret(path)  # who knows it may call the webhook

    class Webhook(HttpHook):
        """Sends to an address that may have a path and https, which the hook takes from no URI."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Any:
            whole = copy.copy(connection)
            whole.host, whole.schema, whole.port = address, None, None
            return whole

    hook = Webhook("POST", http_conn_id=name)
    hook.run(json=notice.to_json(), extra_options={"timeout": _WEBHOOK_SECONDS})


def webhook_address(connection: Any) -> str:
    """Return the address that a Connection gives in its host, or in parts, or as the URI that it was made of.

    Of a URI such as ``https://host/a/b`` Airflow makes the type ``https`` and the schema ``a/b``; elsewhere the schema
    is ``http`` or ``https``. Raises UnreadableConnectionError if there is no host.
    """
    host, schema = (connection.host or "").strip(), connection.schema or ""
    if not host:
        raise airflow_connections.UnreadableConnectionError(
            f"Connection {connection.conn_id!r} has no host; write the whole address there"
        )
    scheme, path = (schema, "") if schema in ("http", "https") else ("", schema)
    if "://" not in host:
        scheme = scheme or ("https" if connection.conn_type == "https" else "http")
        host = f"{scheme}://{host}"
    parts = urlsplit(host)
    if connection.port and parts.port is None:
        parts = parts._replace(netloc=f"{parts.netloc}:{connection.port}")
    if path:
        parts = parts._replace(path=f"{parts.path.rstrip('/')}/{path}")
    return parts.geturl()


def _notify(one: NotifierSettings, notice: Notice, context: Context | None) -> None:
    module, _, name = one.notifier.rpartition(".")
    notifier = getattr(import_module(module), name)(**one.arguments)
    if context is None:
        from airflow.sdk import get_current_context

        context = get_current_context()
    notifier({**context, "notice": notice})


def _try(name: str, send: Callable[[], None]) -> bool:
    try:
        send()
    except airflow_connections.UnreadableConnectionError as error:
        log.error("a notice was not sent by %s: %s", name, error)  # noqa: TRY400
    except Exception:
        log.exception("a notice was not sent by %s", name)
    else:
        return True
    return False
