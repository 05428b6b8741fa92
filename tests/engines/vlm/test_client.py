"""The client against a server that misbehaves in every way that servers do."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from hopchain_etl.engines.base import EngineDownError, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
from hopchain_etl.engines.vlm.client import VlmClient
from hopchain_etl.engines.vlm.images import PromptImage
from support.plain_asking import asked, call_of, double, good, number_of, settings_of
from support.plain_job import PlainJob
from support.scripted_server import Act, Babble, Body, Cut, Hang, Refuse, Say, ScriptedServer, say_json

JOBS = [PlainJob(number) for number in range(200)]


def test_every_row_comes_back_with_what_it_cost() -> None:
    with ScriptedServer(good) as server:
        found = asked(server, range(50))
    assert {n: reply.content for n, reply in found.items()} == {n: {"double": 2 * n} for n in range(50)}
    assert {reply.tokens for reply in found.values()} == {110}
    assert all(reply.seconds > 0 for reply in found.values())
    assert server.most_at_once <= 8


def test_clients_of_one_server_share_its_limit() -> None:
    with ScriptedServer(lambda body, times: say_json({"n": number_of(body)}, seconds=0.02)) as server:
        with ThreadPoolExecutor(3) as threads:
            found = list(threads.map(lambda start: asked(server, range(start, start + 40)), (0, 40, 80)))
        most = server.most_at_once
    assert [len(one) for one in found] == [40, 40, 40]
    assert most == 8


def test_bad_rows_harm_no_other() -> None:
    """One row in a hundred refused and one hanging: every good row arrives, every bad one says why."""

    def script(body: Body, times: int) -> Act:
        kind = number_of(body) % 100
        return Refuse(400, "prompt too long") if kind == 7 else Hang() if kind == 42 else good(body, times)

    with ScriptedServer(script) as server:
        found = asked(server, range(300), timeout_seconds=2)
        tries = Counter(map(number_of, server.seen))
    assert len(found) == 300
    errors = {n: reply.error for n, reply in found.items() if reply.content is None}
    assert sorted(errors) == [7, 42, 107, 142, 207, 242]
    assert all("400" in errors[n] and "prompt too long" in errors[n] for n in (7, 107, 207))  # type: ignore[operator]
    assert all("no answer within 2 s" in errors[n] for n in (42, 142, 242))  # type: ignore[operator]
    assert {n: found[n].permanent for n in errors} == {7: True, 107: True, 207: True, 42: False, 142: False, 242: False}
    assert {n: tries[n] for n in errors} == {7: 1, 107: 1, 207: 1, 42: 2, 142: 2, 242: 2}
    assert all(count == 1 for n, count in tries.items() if n not in errors)


@pytest.mark.parametrize(
    ("trouble", "permanent", "tries"),
    [
        (Refuse(400), True, 1),
        (Refuse(413), True, 1),
        (Refuse(422), True, 1),
        (Refuse(500, "This model's maximum context length is 4096 tokens"), True, 1),
        (Refuse(409), False, 1),
        (Refuse(500), False, 2),
        (Cut(), False, 2),
        (Babble(), False, 2),
    ],
)
def test_what_a_request_itself_causes_is_permanent_and_what_may_pass_is_not(
    trouble: Act, permanent: bool, tries: int
) -> None:
    with ScriptedServer(lambda body, times: trouble if number_of(body) == 3 else good(body, times)) as server:
        found = asked(server, range(6), max_attempts=2)
    assert {n: (bool(reply.error), reply.permanent) for n, reply in found.items()} == {
        n: (n == 3, permanent and n == 3) for n in range(6)
    }
    assert Counter(map(number_of, server.seen))[3] == tries


@pytest.mark.parametrize(
    "trouble", [Refuse(500), Refuse(503), Refuse(429), Cut(), Babble(), Say("", finish_reason=None)]
)
def test_what_can_be_mended_is_tried_again(trouble: Act) -> None:
    with ScriptedServer(
        lambda body, times: trouble if times < 2 and number_of(body) == 3 else good(body, times)
    ) as server:
        found = asked(server, range(6))
    assert [found[n].content for n in range(6)] == [{"double": 2 * n} for n in range(6)]
    assert Counter(map(number_of, server.seen))[3] == 2


def test_a_row_that_always_breaks_the_server_is_given_up() -> None:
    with ScriptedServer(lambda body, times: Cut() if number_of(body) == 3 else good(body, times)) as server:
        found = asked(server, range(6), max_attempts=2)
    assert [n for n, reply in found.items() if reply.error] == [3]
    assert Counter(map(number_of, server.seen))[3] == 2


def test_retry_after_is_heeded() -> None:
    heard: list[float] = []

    def script(body: Body, times: int) -> Act:
        heard.append(time.monotonic())
        return good(body, times) if times > 1 else Refuse(429, headers={"Retry-After": "1"})

    with ScriptedServer(script) as server:
        assert asked(server, [1])[1].content == {"double": 2}
    assert heard[1] - heard[0] > 0.9, "the client's own pause is at most 0.75 s"


def test_waiting_rows_leave_their_places_to_others() -> None:
    """With one place, a row that is told to wait must not hold up the others: it would come first."""

    def script(body: Body, times: int) -> Act:
        return Refuse(429, headers={"Retry-After": "2"}) if number_of(body) == 0 and times == 1 else good(body, times)

    with ScriptedServer(script) as server:
        client = VlmClient(settings_of(concurrency=1), server.url)
        order = [reply.job.number for reply in client.ask(map(PlainJob, range(10)), call_of, double)]
    assert sorted(order) == list(range(10))
    assert order[0] != 0
    assert server.most_at_once == 1


def test_an_invalid_answer_is_asked_again_with_another_seed_then_kept() -> None:
    def script(body: Body, times: int) -> Act:
        n = number_of(body)
        if n == 1 and times == 1:
            return Say("no JSON at all")
        return (
            say_json({"n": 99}) if n == 2 else Say('{"n": 3', finish_reason="length") if n == 3 else good(body, times)
        )

    with ScriptedServer(script) as server:
        found = asked(server, range(4))
    assert found[0].content == {"double": 0}
    assert found[1].content == {"double": 2}
    assert found[1].tokens == 220, "the answer that was thrown away was paid for as well"
    assert found[2].content == {"invalid": "another row's answer", "raw": '{"n": 99}'}
    assert found[3].content == {"invalid": "over-long answer: cut at 10 tokens", "raw": '{"n": 3'}
    seeds = [body["seed"] for body in server.seen if number_of(body) == 2]
    assert len(set(seeds)) == len(seeds) == 3
    assert [body["temperature"] for body in server.seen if number_of(body) == 2] == [0.0, 0.6, 0.6]


def test_what_the_model_said_comes_with_every_answer_the_last_try_of_a_bad_one_too() -> None:
    def script(body: Body, times: int) -> Act:
        return Say("no JSON", thinking="hm") if number_of(body) == 1 or times == 1 else good(body, times)

    with ScriptedServer(script) as server:
        found = asked(server, [0, 1])
        seeds = {n: [body["seed"] for body in server.seen if number_of(body) == n] for n in (0, 1)}
    told = {"finish_reason": "stop", "prompt_tokens": 100, "completion_tokens": 10, "image_tokens": 0}
    warm = {**told, "temperature": 0.6}
    assert found[0].raw_response == {**warm, "text": '{"n": 0}', "thinking": "", "seed": seeds[0][1]}
    assert found[1].raw_response == {**warm, "text": "no JSON", "thinking": "hm", "seed": seeds[1][2]}


def test_what_is_kept_of_an_answer_without_end_is_bounded() -> None:
    endless = "word " * 200_000
    with ScriptedServer(lambda body, times: Say(endless, thinking=endless)) as server:
        found = asked(server, [0], invalid_retries=0)[0]
    assert found.content is not None
    assert found.raw_response is not None
    for text in (found.raw_response["text"], found.raw_response["thinking"], found.content["raw"]):
        assert endless.startswith(text[:393_216])
        assert text[393_216:] == f" [{1_000_000 - 393_216} characters more]"


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"n": null}', "null", '{"n": 1e999}', ""])
def test_rubbish_is_invalid_not_an_error(text: str) -> None:
    with ScriptedServer(lambda body, times: Say(text)) as server:
        found = asked(server, [5], invalid_retries=0)[5]
    assert found.content is not None
    assert found.content["raw"] == text


def test_thinking_is_kept_apart() -> None:
    replies = {1: Say('{"n": 1}', thinking="so one"), 2: Say('perhaps {"n": 7}? no</think>\n\n{"n": 2}')}
    thoughts: dict[int, str] = {}

    def keep(job: PlainJob, answer: ChatResponse) -> dict[str, Any]:
        thoughts[job.number] = answer.thinking
        return double(job, answer)

    with ScriptedServer(lambda body, times: replies[number_of(body)]) as server:
        found = list(VlmClient(settings_of(), server.url).ask(map(PlainJob, [1, 2]), call_of, keep))
    assert all(reply.content and "double" in reply.content for reply in found)
    said = {reply.job.number: reply.raw_response for reply in found}
    assert {n: (one["thinking"], one["text"]) for n, one in said.items() if one} == {
        1: ("so one", '{"n": 1}'),
        2: ('perhaps {"n": 7}? no', '{"n": 2}'),
    }
    assert thoughts == {1: "so one", 2: 'perhaps {"n": 7}? no'}


def test_a_restarted_server_is_waited_for() -> None:
    with ScriptedServer(lambda body, times: say_json({"n": number_of(body)}, seconds=0.02)) as server:
        client = VlmClient(settings_of(down_after_seconds=20), server.url)
        found = []
        for reply in client.ask(map(PlainJob, range(60)), call_of, double):
            found.append(reply)
            if len(found) == 20:
                server.kill()
                threading.Timer(1.0, server.restart).start()
        assert sorted(reply.job.number for reply in found if reply.content) == list(range(60))


def test_a_server_that_is_gone_stops_the_run_and_keeps_what_it_answered() -> None:
    found: list[Reply[PlainJob]] = []
    with ScriptedServer(lambda body, times: say_json({"n": number_of(body)}, seconds=0.02)) as server:

        def run() -> None:
            for reply in VlmClient(settings_of(down_after_seconds=0.5), server.url).ask(JOBS, call_of, double):
                found.append(reply)
                if len(found) == 20:
                    server.kill()

        with pytest.raises(EngineDownError, match=r"could not be reached for 0\.5 s: .*[Cc]onnect"):
            run()
    assert len(found) >= 20
    assert all(reply.content for reply in found)


@pytest.mark.parametrize(("status", "said"), [(401, "API key"), (404, "model"), (500, "in a row")])
def test_a_server_that_fails_every_call_stops_the_run(status: int, said: str) -> None:
    with ScriptedServer(lambda body, times: Refuse(status)) as server, pytest.raises(EngineDownError, match=said):
        asked(server, range(100), max_attempts=1)


def test_a_row_that_ends_in_its_thinking_fails_and_is_not_stored_as_an_answer() -> None:
    def script(body: Body, times: int) -> Act:
        return Say(None, thinking="let me see") if number_of(body) == 3 else good(body, times)

    with ScriptedServer(script) as server:
        found = asked(server, range(6), max_attempts=2)
        assert Counter(map(number_of, server.seen))[3] == 2
    assert [n for n, reply in found.items() if reply.content is None and reply.raw_response is None] == [3]
    assert "no content, only thinking" in str(found[3].error)


def test_a_server_whose_parser_does_not_suit_the_model_stops_the_run_with_the_remedy() -> None:
    with (
        ScriptedServer(lambda body, times: Say(None, thinking=f'{{"n": {number_of(body)}}}')) as server,
        pytest.raises(EngineDownError, match=r"in a row.*without a reasoning parser.*hopchain doctor"),
    ):
        asked(server, range(100), max_attempts=1)


def test_a_photo_that_cannot_be_loaded_is_that_rows_error() -> None:
    def with_photo(job: PlainJob) -> ChatRequest:
        def load() -> bytes:
            if job.number == 2:
                raise FileNotFoundError("erased")
            if job.number == 3:
                return b"no image"
            sink = io.BytesIO()
            Image.new("RGB", (64, 20_000) if job.number == 5 else (224, 224), "red").save(sink, "PNG")
            return sink.getvalue()

        return ChatRequest((Message("user", (f"row {job.number}", PromptImage(load))),), max_tokens=5)

    tokens: list[int] = []

    def keep(job: PlainJob, answer: ChatResponse) -> dict[str, Any]:
        tokens.append(answer.image_tokens)
        return double(job, answer)

    with ScriptedServer(good) as server:
        found = {
            r.job.number: r for r in VlmClient(settings_of(), server.url).ask(map(PlainJob, range(6)), with_photo, keep)
        }
        sent = server.seen[0]["messages"][0]["content"][1]["image_url"]["url"]
    assert sent.startswith("data:image/png;base64,")
    # Loading may work the next time; what is no image, or a strip that the model refuses, stays so.
    assert {n: reply.permanent for n, reply in found.items() if reply.error} == {2: False, 3: True, 5: True}
    assert "erased" in (found[2].error or "")
    assert "sides up to 200 : 1" in (found[5].error or "")
    assert [found[n].raw_response and found[n].raw_response["image_tokens"] for n in range(5)] == [
        64,
        64,
        None,
        None,
        64,
    ]
    assert tokens == [64, 64, 64]


def test_the_window_rolls() -> None:
    """One slow row holds up none but itself: the places beside it keep being refilled."""

    def script(body: Body, times: int) -> Act:
        n = number_of(body)
        return say_json({"n": n}, seconds=4.0 if n == 0 else 0.01)

    with ScriptedServer(script) as server:
        came = list(asked(server, range(61), concurrency=8))
    assert came.index(0) > 7, "in batches of eight, seven would come before it"


def test_jobs_are_read_in_the_callers_thread_as_places_fall_free() -> None:
    pulled = []

    def jobs() -> Iterator[PlainJob]:
        for n in range(1_000):
            assert threading.current_thread() is threading.main_thread()
            pulled.append(n)
            yield PlainJob(n)

    with ScriptedServer(good) as server:
        stream = VlmClient(settings_of(concurrency=4), server.url).ask(jobs(), call_of, double)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert len(pulled) <= 20
    assert not [thread for thread in threading.enumerate() if thread.name == "vlm"]


def test_calls_that_hang_are_dropped_when_the_caller_stops() -> None:
    with ScriptedServer(lambda body, times: Hang() if number_of(body) else good(body, times)) as server:
        client = VlmClient(settings_of(timeout_seconds=3600), server.url)
        stream = client.ask(map(PlainJob, range(4)), call_of, double)
        assert next(stream).job.number == 0
        while len(server.seen) < 4:
            time.sleep(0.01)
        closing = threading.Thread(target=stream.close, daemon=True)  # type: ignore[attr-defined]
        closing.start()
        closing.join(60)
        assert not closing.is_alive(), "it waits for a call that hangs"
    assert not [thread for thread in threading.enumerate() if thread.name == "vlm"]


@pytest.mark.parametrize("url", ["host:8000", "ftp://host", "http://", "vllm"])
def test_an_endpoint_that_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="write http://host:8000/v1"):
        settings_of(endpoint_url=url)


def test_the_key_is_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer(lambda body, times: Refuse(401, "bad key")) as server:
        client = VlmClient(settings_of(), server.url, api_key="sesame")
        with pytest.raises(EngineDownError) as caught:
            list(client.ask([PlainJob(1)], call_of, double))
        assert server.headers[0]["Authorization"] == "Bearer sesame"
    assert "sesame" not in str(caught.value) + caplog.text + repr(client)
