"""``hopchain doctor``: asks a model two short questions, and checks that thinking, JSON and pictures come as expected.

A server's reasoning parser decides where an answer arrives, and from which token on the schema binds. If the parser
does not suit the model, answers are lost in the thinking, or the model cannot think at all; the server reports neither.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
from PIL import Image

from hopchain_etl.doctor.fetch import RefusedError, error_text, fetch
from hopchain_etl.doctor.finding import Finding
from hopchain_etl.engines.base import JSON, InvalidOutputError
from hopchain_etl.engines.vlm.call import (
    LIMIT,
    NEWER_LIMIT,
    ChatRequest,
    ChatResponse,
    IncompleteResponseError,
    Message,
    OnlyThinkingError,
    parse_response,
    wants_newer_limit,
    wire_body,
    wire_messages,
)
from hopchain_etl.engines.vlm.endpoint import address, proxy
from hopchain_etl.engines.vlm.images import PromptImage
from hopchain_etl.settings import AskSettings, VlmSettings

_MAX_TOKENS = 2_048  # enough to think about so little; what is not needed is not paid for
_SECONDS = 180.0
_SUM = "A dog, two hens and a spider: how many legs do they have together?"  # says nothing of JSON
_UNREACHED = (OSError, ValueError, IncompleteResponseError)


@dataclass(frozen=True)
class ModelServer:
    """A model behind an endpoint, asked as a build asks it. ``name`` is its section, ``vlm`` or ``solver``."""

    name: str
    url: str
    model: VlmSettings
    ask: AskSettings
    key: str | None

    @property
    def parser(self) -> str:
        """The variable of the reasoning parser."""
        return f"HOPCHAIN_{self.name.upper()}__REASONING_PARSER"

    @property
    def thinks(self) -> bool:
        """Whether the model thinks according to the settings."""
        return self.model.reasoning_parser is not None and not self.switched_off

    @property
    def switched_off(self) -> bool:
        """Whether the settings switch its thinking off, by one of the names that chat templates have for it."""
        return any(self.model.chat_template_kwargs.get(name) is False for name in ("enable_thinking", "thinking"))

    def answer(self, parts: tuple[str | PromptImage, ...], schema: JSON) -> ChatResponse:
        """Return the answer to a short question; raise OSError, ValueError or IncompleteResponseError."""
        how: dict[str, Any] = {"temperature": self.ask.temperature, **self.ask.sampling()}
        template = self.model.chat_template_kwargs or None
        call = ChatRequest(
            (Message("user", parts),), _MAX_TOKENS, schema=schema, seed=0, chat_template_kwargs=template, **how
        )
        messages, tokens = wire_messages(call)
        try:
            reply = self._reply(call, messages, LIMIT)
        except RefusedError as error:
            if not wants_newer_limit(str(error)):
                raise
            reply = self._reply(call, messages, NEWER_LIMIT)
        return parse_response(reply, tokens, 0.0)

    def _reply(self, call: ChatRequest, messages: list[JSON], limit: str) -> bytes:
        body = wire_body(call, self.model.model, messages, limit)
        return fetch(address(self.url, "chat/completions"), self.key, body, _SECONDS, proxy(self.model))

    def finding(self, what: str, state: Any, detail: str, remedy: str = "") -> Finding:
        """Return a finding about this model."""
        return Finding(f"{self.name} {what}", state, detail, remedy)


def thinking(server: ModelServer) -> Iterator[Finding]:
    """Ask for a sum in JSON, without a picture; yield findings on ``thinking`` and on ``structured output``."""
    schema = _object("legs", {"type": "integer"})
    try:
        answer = server.answer((_SUM,), schema)
    except OnlyThinkingError as error:
        yield _only_thinking(server, error)
        return
    except _UNREACHED as error:
        yield server.finding(
            "structured output", "missing", error_text(error), "serve a chat model that takes a JSON schema"
        )
        return
    if answer.finish_reason == "length" and not answer.text:
        yield _endless_thinking(server, answer)
        return
    if _meets(schema, answer):
        yield _thought(server, answer)
        yield server.finding("structured output", "ok", "JSON of the requested schema")
    else:
        yield _schema_ignored(server, answer)


def pictures(server: ModelServer) -> Iterator[Finding]:
    """Show the model a red square and ask for its colour; yield a finding on ``images``."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (220, 20, 20)).save(picture, "PNG")
    schema = _object("colour", {"type": "string", "enum": ["red", "green", "blue"]})
    try:
        answer = server.answer((PromptImage(picture.getvalue), "Which colour is the square?"), schema)
    except OnlyThinkingError:
        yield server.finding("images", "ok", "a picture was accepted")
    except _UNREACHED as error:
        remedy = "serve a vision-language model, with images allowed"
        yield server.finding("images", "missing", error_text(error), remedy)
    else:
        colour = answer.json()["colour"] if _meets(schema, answer) else None
        if colour in (None, "red"):
            seen = "a picture was accepted" + (" and described correctly" if colour else "")
            yield server.finding("images", "ok", seen)
        else:
            yield server.finding("images", "warning", f"a red square was described as {colour!r}")


def _thought(server: ModelServer, answer: ChatResponse) -> Finding:
    """Return whether the model thought before a valid answer, as the settings say."""
    if server.thinks and not answer.thinking:
        return server.finding(
            "thinking",
            "warning",
            "the answer came without thinking: the schema binds from the first token, so that the model cannot think",
            f"serve with --reasoning-parser {server.model.reasoning_parser}; if the model does not think, set "
            f"{server.parser} to an empty value",
        )
    if server.switched_off and answer.thinking:
        return server.finding(
            "thinking", "warning", "the model thinks, although chat_template_kwargs switch it off",
            "compare the names in chat_template_kwargs with the model's chat template",
        )  # fmt: skip
    said = f"{len(answer.thinking)} characters, apart from the answer" if answer.thinking else "none, as set"
    return server.finding("thinking", "ok", said)


def _only_thinking(server: ModelServer, error: OnlyThinkingError) -> Finding:
    """Return why an answer that was not cut has thinking, but no content."""
    if _is_tagged(error.thinking):
        return _not_parsed(server)
    if not error.is_answer:
        return server.finding(
            "thinking",
            "missing",
            f"`content` is empty and the answer never leaves `reasoning`: {error.thinking[:80]!r}",
            "serve with the reasoning parser that the model's card names, or without one if the model does not think",
        )
    if server.switched_off:
        remedy = (
            "serve a newer vLLM, whose parser knows that thinking is switched off, or serve without --reasoning-parser"
        )
    else:
        remedy = (
            f"if the model does not think, serve without --reasoning-parser and set {server.parser} to an empty value; "
            "otherwise take enable_in_reasoning out of --structured-outputs-config"
        )
    detail = (
        "`content` is empty and the answer is in `reasoning`: the server waits for the end of a thinking that never was"
    )
    return server.finding("thinking", "missing", detail, remedy)


def _endless_thinking(server: ModelServer, answer: ChatResponse) -> Finding:
    if _is_tagged(answer.thinking):
        return _not_parsed(server)
    return server.finding(
        "thinking",
        "warning",
        f"the model still thought about a sum after {answer.completion_tokens} tokens: {answer.thinking[-80:]!r}",
        "ask again; if it repeats itself, set HOPCHAIN_ASK__TEMPERATURE, __TOP_P and __TOP_K as on the model's card",
    )


def _not_parsed(server: ModelServer) -> Finding:
    parser = server.model.reasoning_parser or "and the name on the model's card"
    return server.finding(
        "thinking",
        "missing",
        "`content` begins with <think>, which is never closed: the server does not tell thinking from answers",
        f"serve with --reasoning-parser {parser}",
    )


def _schema_ignored(server: ModelServer, answer: ChatResponse) -> Finding:
    remedy = "turn on structured output (vLLM: --structured-outputs-config with backend guidance)"
    if server.thinks and not answer.thinking:
        remedy += (
            f"; if the text is the model's thinking, serve with --reasoning-parser {server.model.reasoning_parser}"
        )
    detail = f"the answer was not the requested JSON: {answer.text[:80]!r}"
    return server.finding("structured output", "missing", detail, remedy)


def _is_tagged(thinking: str) -> bool:
    """Whether it is from ``content``: a reasoning parser takes the tag away."""
    return thinking.lstrip().startswith("<think>")


def _object(name: str, kind: JSON) -> JSON:
    """Return the schema of an object with one property."""
    return {"type": "object", "properties": {name: kind}, "required": [name], "additionalProperties": False}


def _meets(schema: JSON, answer: ChatResponse) -> bool:
    try:
        jsonschema.validate(answer.json(), schema)
    except (InvalidOutputError, jsonschema.ValidationError):
        return False
    return True
