"""The client against the real vLLM server: schemas, seeds, pictures, prompts that are too long, a server that dies."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from PIL import Image

from hopchain_etl.engines.base import EngineDownError, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
from hopchain_etl.engines.vlm.client import VlmClient
from hopchain_etl.engines.vlm.images import PromptImage
from hopchain_etl.engines.vlm.server import LaunchedServer, launch
from hopchain_etl.settings import VlmSettings
from support.plain_job import PlainJob

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"enum": ["red", "green"]}, "maxItems": 3},
    },
    "required": ["name", "count", "tags"],
    "additionalProperties": False,
}


def picture(number: int, width: int = 224, height: int = 224) -> PromptImage:
    def load() -> bytes:
        pixels = np.random.default_rng(number).integers(0, 255, (7, 7, 3), np.uint8)
        sink = io.BytesIO()
        Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST).save(sink, "PNG")
        return sink.getvalue()

    return PromptImage(load)


def call_of(job: PlainJob, *, seed: int | None = None, **changes: Any) -> ChatRequest:
    prompt = (Message("user", (f"row {job.number}", picture(job.number))),)
    how = {"max_tokens": 120, "schema": SCHEMA, "temperature": 1.0, "seed": job.number if seed is None else seed}
    return ChatRequest(prompt, **{**how, **changes})


def written(settings: VlmSettings, calls: dict[int, ChatRequest]) -> dict[int, ChatResponse]:
    """Return the answer to each call."""
    answers: dict[int, ChatResponse] = {}

    def keep(job: PlainJob, answer: ChatResponse) -> dict[str, Any]:
        answers[job.number] = answer
        return {}

    replies = VlmClient(settings, str(settings.endpoint_url)).ask(
        map(PlainJob, calls), lambda job: calls[job.number], keep
    )
    assert [reply.error for reply in replies if reply.error] == []
    return answers


def replies_to(settings: VlmSettings, jobs: int) -> dict[int, Reply[PlainJob]]:
    client = VlmClient(settings, str(settings.endpoint_url))
    stream = client.ask(map(PlainJob, range(jobs)), call_of, lambda job, answer: answer.json())
    return {reply.job.number: reply for reply in stream}


def test_even_random_weights_meet_the_schema(vlm_settings: VlmSettings) -> None:
    found = replies_to(vlm_settings, 32)
    assert len(found) == 32
    for reply in found.values():
        assert reply.content is not None
        assert set(reply.content) == {"name", "count", "tags"}, reply.content
        assert len(reply.content["name"]) <= 12
        assert reply.tokens > 64


def test_a_seed_gives_the_same_sample_again(vlm_settings: VlmSettings) -> None:
    """Eight samples of one prompt: alone or among others, now or later, the seed decides."""
    job = PlainJob(0)
    alone = {seed: written(vlm_settings, {seed: call_of(job, seed=seed)})[seed].text for seed in range(3)}
    together = written(vlm_settings, {seed: call_of(job, seed=seed) for seed in range(8)})
    assert {seed: together[seed].text for seed in alone} == alone
    assert len({answer.text for answer in together.values()}) > 4, "samples must differ"


def test_the_picture_is_looked_at(vlm_settings: VlmSettings) -> None:
    prompts = {n: (Message("user", ("what is it?", picture(n))),) for n in range(4)}
    answers = written(vlm_settings, {n: ChatRequest(prompt, max_tokens=30) for n, prompt in prompts.items()})
    assert len({answer.text for answer in answers.values()}) > 1


def test_image_tokens_are_what_the_server_counts(vlm_settings: VlmSettings) -> None:
    sizes = [(224, 224), (640, 480), (70, 900), (1_000, 333)]
    plain = ChatRequest((Message("user", ("look",)),), max_tokens=1)
    calls = {
        n + 1: ChatRequest((Message("user", ("look", picture(n, *size))),), max_tokens=1)
        for n, size in enumerate(sizes)
    }
    answers = written(vlm_settings, {0: plain, **calls})
    markers = 2
    for n in calls:
        spent = answers[n].prompt_tokens - answers[0].prompt_tokens - markers
        assert spent == answers[n].image_tokens, sizes[n - 1]


def test_what_the_server_refuses_is_one_rows_error(vlm_settings: VlmSettings) -> None:
    calls = {
        0: call_of(PlainJob(0)),
        1: ChatRequest((Message("user", ("long " * 4_000,)),), max_tokens=10),
        2: call_of(PlainJob(2)),
    }
    client = VlmClient(vlm_settings, str(vlm_settings.endpoint_url))
    stream = client.ask(map(PlainJob, calls), lambda job: calls[job.number], lambda job, answer: answer.json())
    found = {reply.job.number: reply for reply in stream}
    assert found[0].content
    assert found[2].content
    assert "HTTP 400" in (found[1].error or "")


def test_a_server_that_takes_fewer_pictures_than_it_is_sent_stops_the_run(vlm_settings: VlmSettings) -> None:
    call = ChatRequest((Message("user", tuple(picture(n) for n in range(17))),), max_tokens=10)
    client = VlmClient(vlm_settings, str(vlm_settings.endpoint_url))
    with pytest.raises(EngineDownError, match="serve it with --limit-mm-per-prompt"):
        list(client.ask([PlainJob(0)], lambda job: call, lambda job, answer: answer.json()))


def test_an_answer_that_does_not_fit_is_kept_as_invalid(vlm_settings: VlmSettings) -> None:
    settings = vlm_settings.model_copy(update={"invalid_retries": 1})
    client = VlmClient(settings, str(settings.endpoint_url))
    stream = client.ask([PlainJob(1)], lambda job: call_of(job, max_tokens=5), lambda job, answer: answer.json())
    (reply,) = stream
    assert reply.content is not None
    assert reply.content["invalid"].startswith("over-long answer")
    assert reply.content["raw"].startswith('{"')


def test_an_unknown_model_stops_the_run(vlm_settings: VlmSettings) -> None:
    with pytest.raises(EngineDownError, match="does not know the model"):
        replies_to(vlm_settings.model_copy(update={"model": "another"}), 4)


def test_a_server_that_is_killed_and_comes_back_loses_no_row(
    vlm_settings: VlmSettings, vlm_server: LaunchedServer, launch_settings: VlmSettings
) -> None:
    """The last test: the server of all others is killed here, and another takes its port."""
    settings = vlm_settings.model_copy(update={"down_after_seconds": 400})
    client = VlmClient(settings, vlm_server.url)
    port = urlsplit(vlm_server.url).port
    restarted: list[LaunchedServer] = []
    starter = threading.Thread(target=lambda: restarted.append(launch(launch_settings, port)))
    found = []
    try:
        for reply in client.ask(map(PlainJob, range(60)), call_of, lambda job, answer: answer.json()):
            found.append(reply)
            if len(found) == 20:
                (api_server,) = psutil.Process(vlm_server.watcher.pid).children()
                os.killpg(api_server.pid, signal.SIGKILL)
                vlm_server.watcher.wait(30)
                starter.start()
    finally:
        if starter.ident:
            starter.join()
        for server in restarted:
            server.stop()
    assert sorted(reply.job.number for reply in found) == list(range(60))
    assert all(reply.content for reply in found), [reply.error for reply in found if reply.error]


def test_a_killed_task_leaves_no_server_behind() -> None:
    """A watcher ends its command when the process that started it is killed."""
    script = (
        "import os, subprocess, sys, time\n"
        "run = [sys.executable, '-m', 'hopchain_etl.engines.vlm.watcher', str(os.getpid()), '1', 'sleep', '600']\n"
        "print(subprocess.Popen(run, start_new_session=True).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    task = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert task.stdout is not None
    watcher = psutil.Process(int(task.stdout.readline()))
    while not (children := watcher.children()):
        time.sleep(0.05)
    task.kill()
    task.wait()
    _gone, alive = psutil.wait_procs([watcher, *children], timeout=10)
    assert alive == [], f"left behind: {alive}"
