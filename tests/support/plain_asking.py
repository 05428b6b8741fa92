"""Plain jobs asked of a scripted server: each is to answer with its number; for tests of the client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hopchain_etl.engines.base import InvalidOutputError, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
from hopchain_etl.engines.vlm.client import VlmClient
from hopchain_etl.settings import VlmSettings
from support.plain_job import PlainJob
from support.scripted_server import Act, Body, ScriptedServer, prompt_of, say_json


def settings_of(**changes: Any) -> VlmSettings:
    quick = {"model": "scripted", "concurrency": 8, "timeout_seconds": 5, "down_after_seconds": 5}
    return VlmSettings.model_validate({**quick, **changes})


def call_of(job: PlainJob) -> ChatRequest:
    return ChatRequest((Message("user", (f"row {job.number}",)),), max_tokens=50, seed=job.number)


def double(job: PlainJob, answer: ChatResponse) -> dict[str, Any]:
    value = answer.json()
    if value["n"] != job.number:
        raise InvalidOutputError("another row's answer")
    return {"double": value["n"] * 2}


def number_of(body: Body) -> int:
    return int(prompt_of(body).split()[1])


def good(body: Body, times: int) -> Act:
    return say_json({"n": number_of(body)})


def asked(server: ScriptedServer, numbers: Iterable[int], **changes: Any) -> dict[int, Reply[PlainJob]]:
    client = VlmClient(settings_of(**changes), server.url)
    return {reply.job.number: reply for reply in client.ask(map(PlainJob, numbers), call_of, double)}
