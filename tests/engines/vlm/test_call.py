"""What is sent for a call, and how thinking and answer are told apart in the reply."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.engines.base import InvalidOutputError
from hopchain_etl.engines.vlm.call import (
    ChatRequest,
    IncompleteResponseError,
    Message,
    OnlyThinkingError,
    parse_response,
    wire_body,
)

PLAIN = ChatRequest((Message("user", ("look",)),), 50, temperature=0.5)
OPTIONAL: dict[str, Any] = {
    "seed": 0, "top_p": 0.95, "top_k": 20, "presence_penalty": 0.0, "chat_template_kwargs": {"enable_thinking": False},
}  # fmt: skip


def sent(**changes: Any) -> dict[str, Any]:
    call = ChatRequest(PLAIN.messages, PLAIN.max_tokens, temperature=PLAIN.temperature, **changes)
    body: dict[str, Any] = json.loads(wire_body(call, "m", []))
    return body


def reply(content: object, finish: str = "stop", **message: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 9}}).encode()


def test_what_is_not_set_is_not_sent() -> None:
    assert sent().keys() == {"model", "messages", "max_tokens", "temperature"}
    assert sent(**OPTIONAL) == {**sent(), **OPTIONAL}


@given(st.sets(st.sampled_from(sorted(OPTIONAL))))
def test_each_parameter_is_sent_for_itself_and_a_retry_keeps_it(names: set[str]) -> None:
    chosen = {name: OPTIONAL[name] for name in names}
    assert sent(**chosen) == {**sent(), **chosen}
    again = ChatRequest(PLAIN.messages, 50, **chosen).with_new_seed(1)
    assert {name: getattr(again, name) for name in names - {"seed"}} == {
        name: chosen[name] for name in names - {"seed"}
    }


# Neither tag, no blank ends: what a parser may take away is not part of the comparison.
WORDS = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"])).map(str.strip)


@given(WORDS.filter(bool), WORDS.filter(bool))
def test_thinking_is_the_same_wherever_the_server_puts_it(thinking: str, text: str) -> None:
    replies = [
        reply(text, reasoning=thinking),
        reply(text, reasoning_content=thinking),
        reply(f"<think>{thinking}</think>\n\n{text}"),
        reply(f"{thinking}</think>{text}"),  # the template wrote the opening tag
    ]
    found = {(answer.thinking, answer.text) for answer in (parse_response(one, 0, 0.0) for one in replies)}
    assert found == {(thinking, text)}


@given(WORDS)
def test_without_thinking_the_text_is_the_answer(text: str) -> None:
    answer = parse_response(reply(text), 0, 0.0)
    assert (answer.text, answer.thinking) == (text, "")


@pytest.mark.parametrize("content", [None, "", " \n"])
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_an_answer_that_arrives_as_thinking_says_what_to_do(content: str | None, field: str) -> None:
    with pytest.raises(
        OnlyThinkingError, match=r"never began.*without a reasoning parser.*chat_template_kwargs"
    ) as error:
        parse_response(reply(content, **{field: '{"queries": []}'}), 0, 0.0)
    assert error.value.is_answer
    assert isinstance(error.value, IncompleteResponseError)  # so it is tried again, and never stored


@pytest.mark.parametrize("thinking", ["I see two dogs", "7", "[1]", "{", "[" * 100_000])
def test_thinking_without_an_answer_is_told_from_an_answer_as_thinking(thinking: str) -> None:
    with pytest.raises(OnlyThinkingError, match=r"before it answered.*reasoning_parser.*hopchain doctor") as error:
        parse_response(reply(None, reasoning=thinking), 0, 0.0)
    assert not error.value.is_answer
    assert error.value.thinking == thinking


def test_thinking_that_is_never_closed_is_no_answer() -> None:
    with pytest.raises(OnlyThinkingError) as error:
        parse_response(reply('<think>perhaps {"n": 1}'), 0, 0.0)
    assert error.value.thinking == '<think>perhaps {"n": 1}'


@pytest.mark.parametrize(
    "cut", [reply(None, "length", reasoning="hm"), reply("<think>hm", "length"), reply("hm</think>", "length")]
)
def test_an_answer_cut_while_thinking_names_the_limit(cut: bytes) -> None:
    answer = parse_response(cut, 0, 0.0)
    assert answer.text == ""
    with pytest.raises(InvalidOutputError) as error:
        answer.json()
    assert (
        error.value.reason == "over-long answer: cut at 9 tokens, before the end of its thinking: raise ask.max_tokens"
    )


def test_an_empty_reply_is_no_thinking() -> None:
    for finish in ("stop", "length"):
        assert parse_response(reply(None, finish), 0, 0.0).text == ""
    with pytest.raises(InvalidOutputError, match=r"cut at 9 tokens$"):
        parse_response(reply(None, "length"), 0, 0.0).json()


@pytest.mark.parametrize("count", [-1, 2**31, 10**40, "1e9", float("nan")])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_of_tokens_that_no_column_holds_is_no_complete_reply(name: str, count: object) -> None:
    body = json.loads(reply("{}"))
    body["usage"][name] = 2**31 - 1
    assert getattr(parse_response(json.dumps(body).encode(), 0, 0.0), name) == 2**31 - 1
    body["usage"][name] = count
    with pytest.raises(IncompleteResponseError, match="no chat completion"):
        parse_response(json.dumps(body).encode(), 0, 0.0)


def test_a_finish_reason_that_cannot_be_stored_is_no_complete_reply() -> None:
    with pytest.raises(IncompleteResponseError, match="no chat completion"):
        parse_response(reply("{}", "\ud800"), 0, 0.0)


HM = {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}


@pytest.mark.parametrize(
    ("parts", "thinking", "text"),
    [
        ([{"type": "text", "text": "the answer "}, {"type": "text", "text": "is 7"}], "", "the answer is 7"),
        ([HM, {"type": "text", "text": "7"}], "hm", "7"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "7"}], "hm", "7"),
        ([{"type": "text", "text": "<think>hm</think>7"}], "hm", "7"),
        ([], "", ""),
    ],
)
def test_an_answer_in_parts_is_their_text(parts: list[Any], thinking: str, text: str) -> None:
    answer = parse_response(reply(parts), 0, 0.0)
    assert (answer.thinking, answer.text) == (thinking, text)


def test_thinking_without_an_answer_is_told_in_parts_too() -> None:
    with pytest.raises(OnlyThinkingError):
        parse_response(reply([HM]), 0, 0.0)


@pytest.mark.parametrize("content", [{"n": 1}, 7, ["text"], [{"type": "text", "text": {"value": "7"}}]])
def test_a_content_of_another_form_is_no_complete_reply(content: object) -> None:
    with pytest.raises(IncompleteResponseError, match="no chat completion"):
        parse_response(reply(content), 0, 0.0)


def test_a_count_of_tokens_that_is_null_does_not_lose_the_answer() -> None:
    body = json.loads(reply("{}"))
    body["usage"] = {"prompt_tokens": 7, "completion_tokens": None}
    answer = parse_response(json.dumps(body).encode(), 0, 0.0)
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("{}", 7, 0)


@pytest.mark.parametrize("finish", ["max_tokens", "MAX_TOKENS", "model_length", "length"])
def test_an_answer_that_was_cut_is_one_by_whatever_name(finish: str) -> None:
    answer = parse_response(reply('{"n": 1', finish), 0, 0.0)
    assert answer.finish_reason == "length"
    with pytest.raises(InvalidOutputError, match=r"^over-long answer: cut at 9 tokens$"):
        answer.json()


@pytest.mark.parametrize(
    ("body", "reason", "text"),
    [
        (reply(None, "content_filter"), "the content filter of the server withheld the answer", ""),
        (reply('{"n": ', "SAFETY"), "the content filter of the server withheld the answer", '{"n": '),
        (reply(None, "RECITATION", reasoning="hm"), "the content filter of the server withheld the answer", ""),
        (reply(None, "refusal"), "the model refused to answer", ""),
        (reply(None, refusal="I cannot help with that."), "the model refused to answer", "I cannot help with that."),
        (reply(None, "tool_calls", tool_calls=[{}]), "a call of a tool instead of an answer", ""),
        (reply("Two dogs."), "not JSON", "Two dogs."),
    ],
)
def test_why_there_is_no_answer_is_told(body: bytes, reason: str, text: str) -> None:
    answer = parse_response(body, 0, 0.0)
    with pytest.raises(InvalidOutputError, match=f"^{reason}") as error:
        answer.json()
    assert error.value.raw == answer.text == text


def test_a_filtered_reply_may_lack_its_message_and_others_may_not() -> None:
    body = json.loads(reply(None, "PROHIBITED_CONTENT"))
    for message in ({"message": None}, {}):
        body["choices"] = [{"finish_reason": "PROHIBITED_CONTENT", **message}]
        assert parse_response(json.dumps(body).encode(), 0, 0.0).finish_reason == "content_filter"
        body["choices"] = [{"finish_reason": "stop", **message}]
        with pytest.raises(IncompleteResponseError, match="no chat completion"):
            parse_response(json.dumps(body).encode(), 0, 0.0)


@pytest.mark.parametrize("finish", ["content_filter", "tool_calls"])
def test_an_answer_that_is_whole_counts_whatever_its_finish_reason(finish: str) -> None:
    assert parse_response(reply('{"n": 1}', finish), 0, 0.0).json() == {"n": 1}
