"""Requests in flight are counted while they wait for their answers, whatever becomes of them."""

from __future__ import annotations

from contextlib import suppress

from hopchain_etl.engines.in_flight import request_in_flight, requests_in_flight
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
from hopchain_etl.engines.vlm.client import VlmClient
from hopchain_etl.settings import VlmSettings
from support.plain_job import PlainJob
from support.scripted_server import Act, Body, ScriptedServer, say_json


def test_each_waiting_request_is_counted() -> None:
    counts = []

    def script(body: Body, times: int) -> Act:
        counts.append(requests_in_flight())
        return say_json({}, seconds=3)  # none is answered before the last one has come

    def call(job: PlainJob) -> ChatRequest:
        return ChatRequest((Message("user", ("a row",)),), max_tokens=5, seed=job.number)

    def content(job: PlainJob, answer: ChatResponse) -> dict[str, object]:
        return {}

    with ScriptedServer(script) as server:
        client = VlmClient(VlmSettings(model="scripted", concurrency=3), server.url)
        assert len(list(client.ask(map(PlainJob, range(3)), call, content))) == 3
    assert counts[-1] == 3
    assert requests_in_flight() == 0


def test_one_that_fails_is_in_flight_no_more() -> None:
    with suppress(OSError), request_in_flight():
        assert requests_in_flight() == 1
        raise OSError("lost")
    assert requests_in_flight() == 0
