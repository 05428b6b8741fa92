"""Two short questions to a scripted server: do thinking, JSON and pictures come as the settings say?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hopchain_etl.doctor import Finding
from hopchain_etl.doctor.answers import ModelServer, pictures, thinking
from hopchain_etl.settings import AskSettings, VlmSettings
from support.scripted_server import Act, Babble, Refuse, Say, ScriptedServer

GOOD = '{"legs": 16}'
OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda body, times: Refuse(500)) as running:
        yield running


def asked(server: ScriptedServer, act: Act, *, ask: AskSettings | None = None, **model: Any) -> dict[str, Finding]:
    server.script = lambda body, times: act
    settings = VlmSettings(model="scripted", **model)
    found = thinking(ModelServer("vlm", server.url, settings, ask or AskSettings(), key=None))
    return {finding.what.removeprefix("vlm "): finding for finding in found}


def test_a_model_that_thinks_and_then_obeys_passes_with_one_small_request(server: ScriptedServer) -> None:
    findings = asked(server, Say(GOOD, thinking="4 and 4 and 8"))
    assert {what: one.state for what, one in findings.items()} == {"thinking": "ok", "structured output": "ok"}
    assert findings["thinking"].detail.startswith("13 characters")
    (body,) = server.seen
    assert body["max_tokens"] <= 2_048
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["legs"]
    assert "image" not in json.dumps(body)
    assert "JSON" not in json.dumps(body["messages"])  # only the schema says so, and so its effect is seen


def test_a_server_that_wants_the_limit_of_an_answer_under_its_newer_name_gets_it(server: ScriptedServer) -> None:
    refusal = Refuse(400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
    server.script = lambda body, times: refusal if "max_tokens" in body else Say(GOOD)
    model = VlmSettings(model="scripted", reasoning_parser=None)
    assert {one.state for one in thinking(ModelServer("vlm", server.url, model, AskSettings(), key=None))} == {"ok"}
    assert server.seen[1]["max_completion_tokens"] == server.seen[0]["max_tokens"]


@pytest.mark.parametrize("settings", [{"reasoning_parser": None}, OFF])
def test_a_model_that_does_not_think_and_is_not_said_to_passes(
    server: ScriptedServer, settings: dict[str, Any]
) -> None:
    findings = asked(server, Say(GOOD), **settings)
    assert {one.state for one in findings.values()} == {"ok"}
    assert findings["thinking"].detail == "none, as set"


def test_it_asks_as_a_build_asks(server: ScriptedServer) -> None:
    ask = AskSettings(temperature=0.9, top_p=0.8, top_k=20, presence_penalty=1.5)
    asked(server, Say(GOOD), ask=ask, **OFF)
    sampling = {"temperature": 0.9, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}
    assert {name: server.seen[0][name] for name in sampling} == sampling
    assert server.seen[0]["chat_template_kwargs"] == {"enable_thinking": False}
    asked(server, Say(GOOD))
    assert not {"top_p", "top_k", "presence_penalty", "chat_template_kwargs"} & server.seen[1].keys()


PROBLEMS: dict[str, tuple[Act, dict[str, Any], str, str, str]] = {
    # name: what the server does, settings, state of `thinking`, what is found, the remedy
    "the answer is in the reasoning of a model that does not think": (
        Say(None, thinking=GOOD), {}, "missing", "answer is in `reasoning`", "set HOPCHAIN_VLM__REASONING_PARSER to",
    ),
    "the template switched thinking off, the parser waits": (
        Say("", thinking=GOOD), OFF, "missing", "answer is in `reasoning`", "knows that thinking is switched off",
    ),
    "the answer never leaves the thinking": (
        Say(None, thinking="4 and 4"), {}, "missing", "never leaves `reasoning`: '4 and 4'", "the model's card names",
    ),
    "thinking without a closing tag in the content": (
        Say("<think>4 and 4"), {}, "missing", "begins with <think>, which is never closed", "--reasoning-parser qwen3",
    ),
    "the same, cut": (
        Say("<think>4 and 4", finish_reason="length"), {}, "missing", "never closed", "--reasoning-parser qwen3",
    ),
    "the same, no parser set": (
        Say("<think>4 and 4"), {"reasoning_parser": None}, "missing", "never closed", "the name on the model's card",
    ),
    "thinking without end": (
        Say(None, thinking="4 and 4 and", finish_reason="length"), {}, "warning", "still thought", "TEMPERATURE",
    ),
    "the schema binds from the first token": (
        Say(GOOD), {}, "warning", "schema binds from the first token", "serve with --reasoning-parser qwen3; if",
    ),
    "thinking that is not switched off": (
        Say(GOOD, thinking="hm"), OFF, "warning", "although chat_template_kwargs switch it off", "chat template",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_way_in_which_server_and_settings_disagree_is_named_with_its_remedy(
    server: ScriptedServer, name: str
) -> None:
    act, settings, state, detail, remedy = PROBLEMS[name]
    finding = asked(server, act, **settings)["thinking"]
    assert finding.state == state
    assert detail in finding.detail
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    "text", ["They have 16 legs.", "16", '{"legs": "16"}', '{"legs": 16, "note": ""}', '{"dog": 4}', '{"legs": 16', ""]
)
def test_an_answer_that_is_not_of_the_schema_is_named(server: ScriptedServer, text: str) -> None:
    findings = asked(server, Say(text))
    assert findings.keys() == {"structured output"}
    assert findings["structured output"].state == "missing"
    assert repr(text) in findings["structured output"].detail
    assert "--structured-outputs-config" in findings["structured output"].remedy
    assert "if the text is the model's thinking" in findings["structured output"].remedy
    thought = asked(server, Say(text or "no", thinking="hm"))["structured output"]
    assert thought.state == "missing"
    assert "thinking" not in thought.remedy  # it came apart, so it is not the text


def test_free_text_that_is_cut_is_no_endless_thinking(server: ScriptedServer) -> None:
    findings = asked(server, Say("The dog has four", finish_reason="length"))
    assert findings["structured output"].state == "missing"


@pytest.mark.parametrize("act", [Refuse(400, "unknown field top_k"), Babble(), Say("", finish_reason=None)])
def test_a_server_that_gives_no_answer_is_named(server: ScriptedServer, act: Act) -> None:
    finding = asked(server, act)["structured output"]
    assert finding.state == "missing"
    assert finding.remedy
    if isinstance(act, Refuse):
        assert "unknown field top_k" in finding.detail


@pytest.mark.parametrize(
    ("act", "state", "detail"),
    [
        (Say('{"colour": "red"}'), "ok", "described correctly"),
        (Say('{"colour": "red"}', thinking="it is red"), "ok", "described correctly"),
        (Say('{"colour": "blue"}'), "warning", "'blue'"),
        (Say("It is red."), "ok", "accepted"),  # that it is no JSON is said by the other question
        (Say(None, thinking="It is red."), "ok", "accepted"),
        (Say("It is", finish_reason="length"), "ok", "accepted"),
        (Refuse(400, "this model takes no images"), "missing", "takes no images"),
        (Babble(), "missing", "no chat completion"),
    ],
)
def test_a_picture_is_shown(server: ScriptedServer, act: Act, state: str, detail: str) -> None:
    server.script = lambda body, times: act
    (finding,) = pictures(ModelServer("vlm", server.url, VlmSettings(model="scripted"), AskSettings(), key="k"))
    assert (finding.what, finding.state) == ("vlm images", state)
    assert detail in finding.detail
    image = server.seen[0]["messages"][0]["content"][0]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert server.headers[0]["Authorization"] == "Bearer k"
