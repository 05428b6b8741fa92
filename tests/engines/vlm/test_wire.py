"""What is the server's fault, its address or its key stops the run; it is never put down to the rows."""

from __future__ import annotations

import time

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.vlm.client import VlmClient
from support.plain_asking import asked, call_of, double, good, settings_of
from support.plain_job import PlainJob
from support.scripted_server import Act, Hang, Refuse, ScriptedServer


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (None, "two\nlines"),
        ("http://127.0.0.1:99999/v1", None),
        ("http://127.0.0.1:port/v1", None),
    ],
)
def test_an_address_or_a_key_that_no_request_can_have_is_no_error_of_the_rows(url: str | None, key: str | None) -> None:
    with (
        ScriptedServer(good) as server,
        pytest.raises(EngineDownError, match="cannot be asked; correct this address or the API key") as caught,
    ):
        list(VlmClient(settings_of(), url or server.url, api_key=key).ask(map(PlainJob, range(100)), call_of, double))
    assert "two" not in str(caught.value)


def test_a_server_whose_replies_are_no_http_is_tried_again_and_then_stops_the_run() -> None:
    unreadable = Refuse(200, headers={"Content-Encoding": "br"})  # a content coding that nobody offered
    with ScriptedServer(lambda body, times: unreadable if times < 2 else good(body, times)) as server:
        assert asked(server, [1])[1].content == {"double": 2}
    with ScriptedServer(lambda body, times: unreadable) as server, pytest.raises(EngineDownError, match="in a row"):
        asked(server, range(100), max_attempts=1)


SPENT = '{"message": "You exceeded your current quota", "code": "%s"}'


@pytest.mark.parametrize(
    "refusal", [Refuse(402), Refuse(429, SPENT % "insufficient_quota"), Refuse(400, SPENT % "budget_exceeded")]
)
def test_an_account_without_credit_stops_the_run_at_once(refusal: Refuse) -> None:
    with ScriptedServer(lambda body, times: refusal) as server:
        with pytest.raises(EngineDownError, match=r"the account has no credit \(HTTP"):
            asked(server, range(100), concurrency=1)
        assert len(server.seen) <= 3, "the next may have been sent already"


@pytest.mark.parametrize("trouble", [Refuse(429), Hang()])
def test_a_server_that_puts_every_call_off_stops_the_run(trouble: Act) -> None:
    quick = {"timeout_seconds": 0.2, "timeout_attempts": 1, "down_after_seconds": 0, "concurrency": 64}
    with (
        ScriptedServer(lambda body, times: trouble) as server,
        pytest.raises(EngineDownError, match="32 calls in a row"),
    ):
        asked(server, range(100), **quick)


@pytest.mark.parametrize("wish", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_of_nothing_is_not_heeded(status: int, wish: str) -> None:
    """Else a server that is too busy would get thousands of requests a second."""
    started = time.monotonic()
    with ScriptedServer(lambda body, times: Refuse(status, headers={"Retry-After": wish})) as server:
        asked(server, [1], timeout_seconds=0.5, down_after_seconds=0.5, max_attempts=3)
        assert 2 <= len(server.seen) <= 5
    assert time.monotonic() - started > 0.5


@pytest.mark.parametrize("status", [301, 302, 303, 308])
def test_a_redirect_that_loses_prompt_or_key_is_named(status: int) -> None:
    with ScriptedServer(lambda body, times: Refuse(401)) as there:
        moved = Refuse(status, headers={"Location": f"{there.url}/chat/completions?state=secret"})
        with (
            ScriptedServer(lambda body, times: moved) as server,
            pytest.raises(EngineDownError, match=f"redirects to {there.url}: write that as endpoint_url"),
        ):
            asked(server, range(3))
