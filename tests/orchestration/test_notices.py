"""Notices reach the webhook and every notifier that wants them, and hide no failure if that cannot be reached."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from hopchain_etl import airflow_connections
from hopchain_etl.lake.lake import Lake
from hopchain_etl.orchestration import notices
from hopchain_etl.orchestration.notices import Notice
from hopchain_etl.settings import LakeSettings, NotifierSettings, OrchestrateSettings, Settings
from support.s3 import S3Location
from support.toy_build import settings_at

CALL = """
from types import SimpleNamespace
from hopchain_etl.orchestration.notices import on_failure
from hopchain_etl.settings import OrchestrateSettings, Settings
task = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3, try_number=2)
settings = Settings(orchestrate=OrchestrateSettings(failure_webhook_connection="pager"))
on_failure(settings)({"ti": task, "exception": ValueError("no such thing")})
print("still here")
"""


@pytest.mark.airflow
@pytest.mark.parametrize(
    "connection", [{"conn_type": "http", "host": "http://127.0.0.1:9"}, None], ids=["refused", "unknown"]
)
def test_a_webhook_that_is_down_does_not_hide_the_failure(tmp_path: Path, connection: dict[str, str] | None) -> None:
    env = {"AIRFLOW_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", "PATH": ""}
    if connection:
        env["AIRFLOW_CONN_PAGER"] = json.dumps(connection)
    done = subprocess.run([sys.executable, "-c", CALL], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "still here" in done.stdout
    said = done.stdout + done.stderr
    assert "a notice was not sent by webhook" in said
    assert ("Traceback" in said) == bool(connection), "a Connection that cannot be read is one line"


HOOK = "https://hooks.example/services/T/B"


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (HOOK, HOOK),
        ("https://hooks.example", "https://hooks.example"),
        ("http://user:key@127.0.0.1:9/a", "http://127.0.0.1:9/a"),
        ("http://hooks.example/https", "https://hooks.example"),  # as Airflow's documentation writes https in a URI
        ({"conn_type": "http", "host": f" {HOOK}?sig=1\n", "schema": "https"}, f"{HOOK}?sig=1"),
        ({"conn_type": "http", "host": "hooks.example", "schema": "https"}, "https://hooks.example"),
        ({"conn_type": "https", "host": "hooks.example/services", "schema": "T/B"}, HOOK),
        ({"conn_type": "http", "host": "http://hooks.example/a", "port": 8443}, "http://hooks.example:8443/a"),
    ],
)
def test_the_address_of_a_webhook_may_be_a_uri_or_parts(
    monkeypatch: pytest.MonkeyPatch, connection: str | dict[str, Any], address: str
) -> None:
    text = connection if isinstance(connection, str) else json.dumps(connection)
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", text)
    assert notices.webhook_address(airflow_connections.read("pager")) == address


@pytest.mark.airflow
def test_a_webhook_with_a_path_gets_the_notice_and_one_without_a_host_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(204)
            self.end_headers()

    settings = OrchestrateSettings(failure_webhook_connection="pager")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AIRFLOW_CONN_PAGER", f"http://127.0.0.1:{server.server_port}/services/T/B")
        notices.tell(settings, Notice("gate", "a title", "a text"))
        server.shutdown()
    assert heard == [("/services/T/B", {"event": "gate", "title": "a title", "text": "a text"})]
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", '{"conn_type": "http"}')
    notices.tell(settings, Notice("gate", "a title", "a text"))
    assert "Connection 'pager' has no host; write the whole address there" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.airflow
def test_the_path_of_a_webhook_is_a_secret_in_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", '{"host": "http://127.0.0.1:9/services/T?sig=1"}')
    with pytest.raises(OSError, match="/services/T") as raised:
        notices._post("pager", Notice("gate", "a title", "a text"))
    masked = str(redact(str(raised.value)))
    assert "127.0.0.1" in masked
    assert "services" not in masked
    assert "sig" not in masked


def test_a_failure_is_told_in_small_json() -> None:
    class Task:
        dag_id, run_id, task_id, map_index, try_number = "d", "r", "t", 3, 2
        log_url = "http://airflow/log"

    told = notices.failure({"ti": Task(), "exception": ValueError("x" * 5_000)}).to_json()
    assert len(json.dumps(told)) < 1_500
    assert told.pop("error").startswith("ValueError: xxx")
    assert told.pop("text").startswith("ValueError: xxx")
    facts = {"dag": "d", "run": "r", "task": "t", "map_index": 3, "try": 2, "log": "http://airflow/log"}
    assert told == {"event": "failure", "title": "d: t failed", **facts}
    assert notices.failure({"ti": Task()}).to_json()["error"] is None
    spent = notices.failure({"ti": Task(), "exception": RuntimeError("TokenCeilingError: the run has spent")})
    assert spent.event == "token_ceiling"


@pytest.mark.s3
def test_a_spent_ceiling_is_told_once_a_run_and_other_failures_each(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(notices, "tell", lambda settings, notice, context: told.append((notice.event, context["n"])))
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    spent, other = RuntimeError("TokenCeilingError: spent"), ValueError("no such thing")

    def fail(n: int, error: Exception, run: str = "r", cleared: int = 0, settings: Settings = settings) -> None:
        task = SimpleNamespace(dag_id="d", run_id=run, task_id="t", map_index=n, try_number=1)
        dag_run = SimpleNamespace(clear_number=cleared)
        notices.on_failure(settings)({"ti": task, "dag_run": dag_run, "exception": error, "n": n})

    for n in range(3):
        fail(n, spent)
    fail(3, other)
    fail(4, other)
    fail(5, spent, cleared=1)
    fail(6, spent, run="next")
    nowhere = LakeSettings(uri="s3://none/lake", endpoint_url="http://127.0.0.1:9", path_style=True)
    for n in (7, 8):
        fail(n, spent, settings=settings.model_copy(update={"lake": nowhere}))
    expected = [("token_ceiling", 0), ("failure", 3), ("failure", 4), ("token_ceiling", 5), ("token_ceiling", 6)]
    assert told == [*expected, ("token_ceiling", 7), ("token_ceiling", 8)]


@pytest.mark.s3
def test_what_nobody_could_be_told_is_told_again(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    down, sent = [True], []

    class Pager:
        def __call__(self, context: dict[str, Any]) -> None:
            if down:
                raise ConnectionError("no route to the pager")
            sent.append(context["notice"].title)

    monkeypatch.setitem(sys.modules, "site_pager", SimpleNamespace(Pager=Pager, Mail=lambda: sent.append))  # type: ignore[arg-type]
    lake = Lake(settings_at(bucket.bucket, bucket.endpoint_url).lake)
    pager = NotifierSettings(notifier="site_pager.Pager")

    def told(*notifiers: NotifierSettings, event: str = "overdue") -> int:
        """Tell it once, as a run does, and return how many have got it."""
        before = len(sent)
        if mark := notices.first(lake, event, "monday"):
            notices.tell(OrchestrateSettings(notifiers=notifiers), Notice(event, "late", "", mark=mark), {})
        return len(sent) - before

    assert [told(pager), told(pager)] == [0, 0]
    down.clear()
    assert [told(pager), told(pager)] == [1, 0]
    down.append(True)
    assert told(pager, NotifierSettings(notifier="site_pager.Mail"), event="ready") == 1
    assert told(NotifierSettings(notifier="site_pager.Pager", events=("gate",)), event="quiet") == 0, "nobody wants it"
    down.clear()
    assert [told(pager, event=event) for event in ("ready", "quiet")] == [0, 0]


@pytest.mark.airflow
def test_a_notifier_renders_its_arguments_and_gets_the_events_that_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import BaseNotifier

    sent: list[str] = []

    class Mail(BaseNotifier):
        template_fields: ClassVar = ("subject",)

        def __init__(self, subject: str) -> None:
            super().__init__()
            self.subject = subject

        def notify(self, context: Any) -> None:
            sent.append(self.subject)

    class Down(Mail):
        def notify(self, context: Any) -> None:
            raise ConnectionError("the mail server is down")

    monkeypatch.setitem(sys.modules, "site_mail", SimpleNamespace(Mail=Mail, Down=Down))  # type: ignore[arg-type]
    subject = {"subject": "{{ notice.event }}: {{ notice.title }}"}
    settings = OrchestrateSettings(
        notifiers=(
            NotifierSettings(notifier="site_mail.Down", arguments=subject),
            NotifierSettings(notifier="site_mail.Mail", arguments=subject, events=("gate", "quiet")),
            NotifierSettings(notifier="no_such_module.Mail"),
        )
    )
    for event in ("gate", "rejects", "quiet"):
        notices.tell(settings, Notice(event, "a title", "a text"), {})
    assert sent == ["gate: a title", "quiet: a title"]
