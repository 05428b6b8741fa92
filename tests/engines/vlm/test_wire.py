"""What is the server's fault, its address or its key stops the run; it is never put down to the rows."""

from __future__ import annotations

import json
import re
import time

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.vlm import wire
from hopchain_etl.engines.vlm.client import VlmClient
from support.plain_asking import asked, call_of, double, good, number_of, settings_of
from support.plain_job import PlainJob
from support.scripted_server import Act, Babble, Hang, Refuse, ScriptedServer


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


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("API key not valid. Please pass a valid API key.", "the API key is wrong"),
        ("reason: API_KEY_INVALID", "the API key is wrong"),
        ("API key expired. Please renew the API key.", "the API key is wrong"),
        ("API key not found. Please pass a valid API key.", "the API key is wrong"),
        ("User location is not supported for the API use.", "not offered in this country"),
        ("Your credit balance is too low to access the API", "the account has no credit"),
        ("Invalid model name passed in model=other", "it does not know the model"),
        (
            "Unsupported parameter: 'seed' is not supported with this model.",
            "does not take one of our parameters",
        ),
        ("[{'type': 'extra_forbidden', 'loc': ('body', 'top_k')}]", "does not take one of our parameters"),
        ("org/text-only is not a multimodal model", "its model takes no pictures"),
        ("At most 0 image(s) may be provided in one prompt.", "its model takes no pictures"),
        ("At most 1 image(s) may be provided in one prompt.", "too few pictures in one request; .*limit-mm-per-prompt"),
        ("The provided JSON schema contains features not supported by xgrammar.", "does not take the JSON schema"),
        ("Failed to initialize samplers: failed to parse grammar", "does not take the JSON schema"),
        ("Invalid schema for response_format 'answer'", "does not take the JSON schema"),
        ("max_tokens is too large: 9. This model supports at most 5 completion tokens", "lower ask.max_tokens"),
    ],
)
def test_a_refusal_that_is_the_same_for_every_request_stops_the_run(said: str, reason: str) -> None:
    with (
        ScriptedServer(lambda body, times: Refuse(400, said)) as server,
        pytest.raises(EngineDownError, match=f"rejects every call: .*{reason}"),
    ):
        asked(server, range(100), concurrency=1)


def test_a_status_that_may_pass_is_tried_again_whatever_the_server_lacks_but_a_key() -> None:
    lacks = Refuse(503, '{"code": "model_not_found", "message": "no channel is free"}')
    with ScriptedServer(lambda body, times: good(body, times) if times else lacks) as server:
        assert asked(server, [1])[1].content == {"double": 2}
    spent = Refuse(503, SPENT % "insufficient_quota")
    with (
        ScriptedServer(lambda body, times: spent) as server,
        pytest.raises(EngineDownError, match="the account has no credit"),
    ):
        asked(server, [1])


NEWER = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


def test_a_server_that_wants_the_limit_under_its_newer_name_gets_it() -> None:
    with ScriptedServer(
        lambda body, times: Refuse(400, NEWER) if "max_tokens" in body else good(body, times)
    ) as server:
        found = asked(server, range(20), concurrency=4)
        assert {n: reply.content for n, reply in found.items()} == {n: {"double": 2 * n} for n in range(20)}
        assert sum("max_tokens" in body for body in server.seen) < 20
        server.script = lambda body, times: Refuse(400, NEWER)
        with pytest.raises(EngineDownError, match="knows no name for the limit of an answer: HTTP 400"):
            asked(server, [1])


@pytest.mark.parametrize(
    "refusal",
    [
        Refuse(403, "the model requires moderation and your input was flagged for violence"),
        Refuse(403, '{"reasons": ["violence"], "flagged_input": "a photo"}'),
        Refuse(400, "The response was filtered due to our content management policy"),
        Refuse(400, "InternalError.Algo.DataInspectionFailed: input may contain inappropriate content"),
        Refuse(451, "content_policy_violation"),
        Refuse(500, "litellm.ContentPolicyViolationError"),
    ],
)
def test_a_photo_that_a_moderation_refuses_is_no_reason_to_stop_the_run(refusal: Refuse) -> None:
    with ScriptedServer(lambda body, times: refusal if number_of(body) == 3 else good(body, times)) as server:
        found = asked(server, range(6))
    assert {n: reply.permanent for n, reply in found.items() if reply.error} == {3: True}
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    ("code", "times", "error"),
    [
        (429, 9, None),  # asked again for as long as it says so, unlike what is lost
        ("503", 2, None),
        (None, 2, None),
        ("server_error", 2, None),
        (400, 1, "HTTP 400: .*of the gateway"),
    ],
)
def test_an_error_that_comes_with_status_200_is_one_of_the_status_that_it_names(
    code: object, times: int, error: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_backoff_seconds", lambda attempts: 0.01)
    body = {"error": {"message": "of the gateway", "code": code}, "choices": None}
    refusal = Babble(json.dumps(body).encode())
    with ScriptedServer(lambda body, count: refusal if count < times or error else good(body, count)) as server:
        reply = asked(server, [1], max_attempts=3)[1]
        assert (len(server.seen), reply.permanent) == (times, error is not None)
    assert re.search(error, reply.error or "") if error else reply.content == {"double": 2}


def test_an_error_with_status_200_that_is_the_same_for_every_request_stops_the_run() -> None:
    refusal = Babble(b'{"error": {"message": "No auth credentials found", "code": 401}}')
    with (
        ScriptedServer(lambda body, times: refusal) as server,
        pytest.raises(EngineDownError, match="the API key is wrong"),
    ):
        asked(server, [1])


FIREWALL = [Refuse(403), Babble(b"<html><title>Content filter: blocked</title>", 403)]


@pytest.mark.parametrize("refusal", FIREWALL)
def test_a_403_for_every_call_is_a_missing_permission(refusal: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_backoff_seconds", lambda attempts: 0.01)
    with (
        ScriptedServer(lambda body, times: refusal) as server,
        pytest.raises(EngineDownError, match=r"rejects every call: the API key has no permission \(HTTP 403"),
    ):
        asked(server, range(3), max_attempts=2)


@pytest.mark.parametrize("refusal", FIREWALL)
def test_a_403_for_one_prompt_is_that_of_a_firewall(refusal: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_backoff_seconds", lambda attempts: 0.1)
    with ScriptedServer(lambda body, times: refusal if number_of(body) == 0 else good(body, times)) as server:
        found = asked(server, range(6), max_attempts=3)
        assert {n: reply.content for n, reply in found.items() if n} == {n: {"double": 2 * n} for n in range(1, 6)}
        assert re.search("HTTP 403.*tried 3 times", found[0].error or "")
        assert not found[0].permanent, "whose fault it is the reply does not say"
        assert len(server.seen) == 5 + 3


def test_a_permission_that_is_lost_on_the_way_stops_the_run() -> None:
    with (
        ScriptedServer(lambda body, times: good(body, times) if number_of(body) == 0 else Refuse(403)) as server,
        pytest.raises(EngineDownError, match=r"failed 32 calls in a row; the last: HTTP 403"),
    ):
        asked(server, range(100), max_attempts=1, concurrency=1)


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


def test_a_server_behind_a_proxy_is_asked_by_it_only_if_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    url = "http://models.invalid/v1"
    with ScriptedServer(good) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        client = VlmClient(settings_of(endpoint_url=url, use_proxy=True), url, api_key="sesame")
        (reply,) = client.ask([PlainJob(1)], call_of, double)
        assert reply.content == {"double": 2}
        with pytest.raises(EngineDownError, match="could not be reached"):
            list(VlmClient(settings_of(down_after_seconds=0), url).ask([PlainJob(1)], call_of, double))
    (sent,) = proxy.headers
    assert (sent["Host"], sent["Authorization"]) == ("models.invalid", "Bearer sesame")


def test_a_server_of_this_machine_is_never_asked_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with ScriptedServer(good) as server:
        assert asked(server, [1], use_proxy=True, endpoint_url=server.url)[1].content == {"double": 2}


def test_the_query_of_an_endpoint_stays_behind_the_path_and_says_how_the_key_is_sent() -> None:
    with ScriptedServer(good) as server:
        client = VlmClient(settings_of(), f"{server.url}/?api-version=2024-10-21", api_key="sesame")
        (reply,) = client.ask([PlainJob(1)], call_of, double)
        assert reply.content == {"double": 2}
        (headers,) = server.headers
        assert (headers["api-key"], "Authorization" in headers) == ("sesame", False)
        server.script = lambda body, times: Refuse(404)
        with pytest.raises(EngineDownError, match=f"^{server.url}/ rejects every call"):
            list(VlmClient(settings_of(), f"{server.url}/?key=sesame").ask([PlainJob(1)], call_of, double))


@pytest.mark.parametrize("status", [301, 302, 303, 308])
def test_a_redirect_that_loses_prompt_or_key_is_named(status: int) -> None:
    with ScriptedServer(lambda body, times: Refuse(401)) as there:
        moved = Refuse(status, headers={"Location": f"{there.url}/chat/completions?state=secret"})
        with (
            ScriptedServer(lambda body, times: moved) as server,
            pytest.raises(EngineDownError, match=f"redirects to {there.url}: write that as endpoint_url"),
        ):
            asked(server, range(3))
