"""One request to a model and its answer, and their wire format (OpenAI's chat completions)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from hopchain_etl.engines.base import JSON, InvalidOutputError
from hopchain_etl.engines.vlm.images import PromptImage, encoded

LIMIT, NEWER_LIMIT = "max_tokens", "max_completion_tokens"  # newer models of OpenAI refuse the older name
_RETRY_TEMPERATURE = 0.6  # a greedy (temperature 0) answer would be the same for every seed
_UNFINISHED = {"abort", "error"}  # finish reasons of an answer that the server did not complete
# What gateways to other APIs (Anthropic, Gemini, Mistral, Cohere) call the finish reasons of OpenAI, in lower case.
_OTHER_NAMES = {
    **dict.fromkeys(("max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("safety", "recitation", "blocklist", "prohibited_content", "spii"), "content_filter"),
    **dict.fromkeys(("image_safety", "image_prohibited_content", "image_recitation"), "content_filter"),
    **dict.fromkeys(("tool_use", "function_call"), "tool_calls"),
}
_NO_ANSWER = {
    "content_filter": "the content filter of the server withheld the answer",
    "refusal": "the model refused to answer",
    "tool_calls": "a call of a tool instead of an answer: serve the model without tools",
}
_BEGIN_OF_THINKING, _END_OF_THINKING = "<think>", "</think>"
_TOO_MANY_TOKENS = 2**31  # no column of the lake holds them
_BAD_GATEWAY = 502
_MOST_KEPT = 393_216  # characters, 12 for each of 32,768 tokens; a server may ignore max_tokens


class IncompleteResponseError(Exception):
    """The server's response is not a complete answer: it was cut off or is not in the OpenAI format."""


class OnlyThinkingError(IncompleteResponseError):
    """The model ended, and all that it wrote arrived as ``thinking``.

    For one answer, a retry may help. If it happens to all, server and settings do not agree on whether the model
    thinks. It is no invalid answer, because those are stored: they would outlive the correction of the server.
    """

    def __init__(self, thinking: str) -> None:
        self.thinking = thinking
        cause = (
            "the server waits for the end of a thinking that never began: serve the model without a reasoning parser "
            "(reasoning_parser), or do not switch its thinking off (chat_template_kwargs)"
            if self.is_answer
            else "the model ended before it answered. If all answers are like this, it does not think, or has another "
            "reasoning parser (reasoning_parser)"
        )
        super().__init__(f"no content, only thinking: {cause}; see hopchain doctor")

    @property
    def is_answer(self) -> bool:
        """Whether the thinking is the answer: JSON, which nobody thinks in."""
        return _is_json_object(self.thinking)


@dataclass(frozen=True)
class Message:
    """One turn of the prompt: texts and pictures in order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | PromptImage, ...]


@dataclass(frozen=True)
class ChatRequest:
    """One request. ``schema`` is the JSON schema of the answer; its strings and arrays should have a maximum length."""

    messages: tuple[Message, ...]
    max_tokens: int
    schema: JSON | None = None
    temperature: float = 0.0
    seed: int | None = None
    top_p: float | None = None  # None, here and below: the server's default
    top_k: int | None = None
    presence_penalty: float | None = None
    chat_template_kwargs: JSON | None = None

    def with_new_seed(self, attempt: int) -> ChatRequest:
        """Return this call with another seed and a temperature above zero, so that the seed has an effect."""
        seed = ((self.seed or 0) + attempt * 1_000_003) % 2**31
        return replace(self, seed=seed, temperature=max(self.temperature, _RETRY_TEMPERATURE))


@dataclass(frozen=True)
class ChatResponse:
    """What the model wrote. ``thinking`` is never part of ``text``; ``seconds`` is the time of this one request."""

    text: str
    thinking: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    image_tokens: int  # of the prompt's pictures, computed by us
    seconds: float

    def json(self) -> Any:
        """Return the answer read as JSON; raise InvalidOutputError if it was cut at max_tokens or is not JSON."""
        if self.finish_reason == "length":
            share = ", before the end of its thinking: raise ask.max_tokens" if self.thinking and not self.text else ""
            raise InvalidOutputError(f"over-long answer: cut at {self.completion_tokens} tokens{share}", self.text)
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise InvalidOutputError(_NO_ANSWER.get(self.finish_reason, f"not JSON: {error}"), self.text) from error


def raw_record(call: ChatRequest, answer: ChatResponse) -> JSON:
    """Return the literal answer for the cache, stored beside the parsed content; see ``base.Reply``."""
    return {
        "text": truncate(answer.text),
        "thinking": truncate(answer.thinking),
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "image_tokens": answer.image_tokens,
        "seed": call.seed,
        "temperature": call.temperature,
    }


def truncate(text: str) -> str:
    """Return a server's text, truncated to a maximum length with a note."""
    return text if len(text) <= _MOST_KEPT else f"{text[:_MOST_KEPT]} [{len(text) - _MOST_KEPT} characters more]"


def wire_messages(call: ChatRequest) -> tuple[list[JSON], int]:
    """Return the messages as they are sent, pictures as data URIs, and the image tokens in them. Slow: decodes."""
    pictures = [part for message in call.messages for part in message.parts if isinstance(part, PromptImage)]
    sent = encoded(pictures)
    at = iter(sent)

    def part(one: str | PromptImage) -> JSON:
        if isinstance(one, str):
            return {"type": "text", "text": one}
        return {"type": "image_url", "image_url": {"url": next(at).uri}}

    messages: list[JSON] = [{"role": m.role, "content": [part(one) for one in m.parts]} for m in call.messages]
    return messages, sum(picture.tokens for picture in sent)


def wire_body(call: ChatRequest, model: str, messages: list[JSON], limit: str = LIMIT) -> bytes:
    """Return the JSON of a request; ``limit`` is the server's name for ``max_tokens``."""
    body: JSON = {
        "model": model,
        "messages": messages,
        limit: call.max_tokens,
        "temperature": call.temperature,
    }
    for name in ("seed", "top_p", "top_k", "presence_penalty", "chat_template_kwargs"):
        if (value := getattr(call, name)) is not None:
            body[name] = value
    if call.schema is not None:
        form = {"name": "answer", "schema": call.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return json.dumps(body).encode()


def wants_newer_limit(refusal: str) -> bool:
    """Return whether a refusal (status 400) says that the server knows ``max_tokens`` by its newer name only."""
    return re.search(rf"{LIMIT}\b.{{1,60}}not supported.{{1,60}}{NEWER_LIMIT}", refusal, re.DOTALL) is not None


def parse_response(reply: bytes, image_tokens: int, seconds: float) -> ChatResponse:
    """Return the answer in a server's reply; raise IncompleteResponseError if it is incomplete or only thinking."""
    try:
        value = json.loads(reply)
        choice, usage = value["choices"][0], value.get("usage") or {}
        finished = _finish_reason(choice.get("finish_reason"))
        message = choice.get("message") or ({} if finished == "content_filter" else choice["message"])
        content = message.get("content")
        text = _text_of(content)
        if not text and (refusal := message.get("refusal")):
            text, finished = _text_of(refusal), "refusal"
        # vLLM has called it both names; without a reasoning parser it stays in the text, up to the closing tag.
        thinking = str(message.get("reasoning") or message.get("reasoning_content") or "")
        if isinstance(content, list):
            thinking = thinking or _text_of(content, "thinking")
        # Null, as a gateway says of an answer from its cache, is no reason to pay for another one.
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        if not all(0 <= count < _TOO_MANY_TOKENS for count in tokens):
            raise ValueError(tokens)
        if isinstance(finished, str):
            finished.encode()  # half a surrogate pair cannot be stored
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise IncompleteResponseError(f"the reply is no chat completion: {reply[:200]!r}") from error
    if not isinstance(finished, str) or finished in _UNFINISHED:
        raise IncompleteResponseError(f"the answer was cut: finish_reason {finished!r}")
    if not thinking:
        thinking, text = _split_thinking(text)
    if thinking and not text.strip() and finished not in ("length", *_NO_ANSWER):
        raise OnlyThinkingError(thinking)
    return ChatResponse(text, thinking, finished, *tokens, image_tokens, seconds)


def error_status(reply: bytes) -> int | None:
    """Return the HTTP status of an error in the place of an answer; some gateways (OpenRouter) send it with status 200.

    An error that names none is a failure of a server behind the gateway. None: it is no error.
    """
    try:
        error = json.loads(reply).get("error")
        code = error.get("code") if isinstance(error, dict) else None
        named = re.fullmatch(r"[45]\d\d", str(code))
    except (ValueError, AttributeError, RecursionError):
        return None
    if not error:
        return None
    return int(named[0]) if named else _BAD_GATEWAY


def _finish_reason(value: Any) -> Any:
    """Return a finish reason by the name that OpenAI has for it, if it has one."""
    return _OTHER_NAMES.get(value.lower(), value) if isinstance(value, str) else value


def _text_of(content: Any, kind: str = "text") -> str:
    """Return the text of a content: it is one, or a list of parts, some of this kind; raise TypeError for others."""
    if isinstance(content, list):
        return "".join(_text_of(part.get(kind)) for part in content)
    if not isinstance(content, str | None):
        raise TypeError(content)
    return content or ""


def _split_thinking(text: str) -> tuple[str, str]:
    """Return the thinking in a text, and the rest: nothing, if the thinking was never closed."""
    if _END_OF_THINKING in text:
        thinking, _, rest = text.partition(_END_OF_THINKING)
        return thinking.removeprefix(_BEGIN_OF_THINKING).strip(), rest.lstrip()
    return (text, "") if text.lstrip().startswith(_BEGIN_OF_THINKING) else ("", text)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
