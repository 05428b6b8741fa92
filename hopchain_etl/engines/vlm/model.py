"""RoleModel, the base of the vllm engines: fills a role's prompt, sends it, validates the answer by its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hopchain_etl.engines.base import JSON, Identity, J, Photo, Reply
from hopchain_etl.engines.prompts import Prompt
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
from hopchain_etl.engines.vlm.connection import connect
from hopchain_etl.engines.vlm.images import Box, Mark, PromptImage
from hopchain_etl.settings import AskSettings, VlmSettings


class RoleModel:
    """A model in one role. No connection is made and no server launched before the first request."""

    def __init__(self, role: str, vlm: VlmSettings, ask: AskSettings) -> None:
        self.vlm, self.ask_settings = vlm, ask
        self.prompt = Prompt.load(role)
        # Sent, and part of the identity, only if set: until then neither fingerprints nor requests change.
        self._optional: JSON = dict(ask.sampling())
        if vlm.chat_template_kwargs:
            self._optional["chat_template_kwargs"] = vlm.chat_template_kwargs

    def identity(self, *, plan: Mapping[str, Any] | None = None, **recipe: Any) -> Identity:
        """Return the identity: model, prompt, schema, limits, and what else in ``recipe`` determines an answer."""
        limits = {"max_tokens": self.ask_settings.max_tokens, "temperature": self.ask_settings.temperature}
        everything = {**self.prompt.recipe, **limits, "max_pixels": self.vlm.max_pixels, **self._optional, **recipe}
        return Identity(self.vlm.model, self.vlm.revision, everything, plan or {})

    def call(self, pictures: Mapping[str, PromptImage], *, seed: int = 0, **values: Any) -> ChatRequest:
        """Return a call with the role's prompt, rendered over ``values``, and its pictures in their places."""
        system, user = self.prompt.render(**values)
        parts = tuple(pictures[part] if place % 2 else part for place, part in enumerate(user) if part)
        messages = (Message("system", (system,)), Message("user", parts))
        ask, schema = self.ask_settings, self.prompt.schema
        how = {"temperature": ask.temperature, "seed": seed, **self._optional}
        return ChatRequest(messages, ask.max_tokens, schema=schema, **how)

    def whole(self, photo: Photo, marks: Sequence[Mark] = ()) -> PromptImage:
        """Return a photo as a picture, with framed and labelled things if ``marks`` are given."""
        return PromptImage(photo.load, self.vlm.max_pixels, marks=tuple(marks))

    def close_up(self, photo: Photo, box: Box) -> PromptImage:
        """Return a crop of ``box`` (xyxy px) with a margin."""
        x1, y1, x2, y2 = box
        dx, dy = ((high - low) * self.ask_settings.crop_margin for low, high in ((x1, x2), (y1, y2)))
        wider = max(0.0, x1 - dx), max(0.0, y1 - dy), min(photo.width, x2 + dx), min(photo.height, y2 + dy)
        return PromptImage(photo.load, self.ask_settings.crop_pixels, wider)

    def ask(
        self, jobs: Iterable[J], call_of: Callable[[J], ChatRequest], content_of: Callable[[J, ChatResponse], JSON]
    ) -> Iterator[Reply[J]]:
        """Yield a reply for each job, in any order; see ``VlmClient.ask``."""
        yield from connect(self.vlm).ask(jobs, call_of, content_of)

    def read(self, answer: ChatResponse) -> JSON:
        """Return an answer that meets the role's schema; raise InvalidOutputError otherwise."""
        return self.prompt.checked(answer.json(), answer.text)
