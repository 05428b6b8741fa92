"""An OpenAI-compatible server that does what a script says: answers, refuses, hangs, cuts its replies, dies."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Say:
    """Answer with ``text`` after ``seconds``; without text, everything is in the reasoning, as vLLM replies then."""

    text: str | None
    thinking: str = ""
    seconds: float = 0.0
    finish_reason: str | None = "stop"
    tokens: tuple[int, int] = (100, 10)  # prompt, completion


@dataclass(frozen=True)
class Refuse:
    """Reply with a status, at once."""

    status: int
    text: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Never reply."""


@dataclass(frozen=True)
class Cut:
    """Close the connection in the middle of a good reply."""


@dataclass(frozen=True)
class Babble:
    """Reply with these bytes as they are."""

    data: bytes = b"<html>gateway</html>"
    status: int = 200


Act = Say | Refuse | Hang | Cut | Babble
Body = dict[str, Any]


def prompt_of(body: Body) -> str:
    """Return the texts of a request's last message."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else " ".join(part.get("text") or "" for part in content)


class ScriptedServer:
    """Listens on a free loopback port. ``script`` is given each request's JSON and how often its prompt has
    come; it may be changed.

    ``seen`` holds every request in order, ``most_at_once`` how many were open together at most. ``kill`` drops every
    connection and stops listening, ``restart`` listens on the same port again.
    """

    def __init__(self, script: Callable[[Body, int], Act], model: str = "scripted", context: int | None = None) -> None:
        self.seen: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self.lists_models = True
        self._open = 0
        self.script = script
        self._listed: Body = {"id": model, "object": "model"} | ({"max_model_len": context} if context else {})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-server", daemon=True)
        self._thread.start()
        self._port = 0
        self.restart()

    @property
    def url(self) -> str:
        """The base URL, as a client is given it."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def restart(self) -> None:
        """Listen, after a kill on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def kill(self) -> None:
        """Drop every connection and stop listening."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result()

    async def _listen(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _drop(self) -> None:
        server = self._runner.server
        for connection in list(server.connections) if server else []:
            if connection.transport:
                connection.transport.abort()
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        if not self.lists_models:
            raise web.HTTPNotFound
        return web.json_response({"object": "list", "data": [self._listed]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = prompt_of(body)
        self.seen.append(body)
        self.headers.append(dict(request.headers))
        times = sum(prompt_of(one) == prompt for one in self.seen)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            return await self._act(request, self.script(body, times))
        finally:
            self._open -= 1

    async def _act(self, request: web.Request, act: Act) -> web.StreamResponse:
        if isinstance(act, Refuse):
            return web.json_response({"error": {"message": act.text}}, status=act.status, headers=act.headers)
        if isinstance(act, Hang):
            await asyncio.sleep(3600)
        if isinstance(act, Babble):
            return web.Response(body=act.data, status=act.status)
        if isinstance(act, Cut):
            reply = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
            await reply.prepare(request)
            await reply.write(b'{"choices": [{"message": {"content": "half a')
            assert request.transport is not None
            request.transport.abort()
            return reply
        assert isinstance(act, Say)
        await asyncio.sleep(act.seconds)
        return web.json_response(self._completion(act))

    def _completion(self, act: Say) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": act.text}
        if act.thinking:
            message["reasoning_content"] = act.thinking
        prompt, completion = act.tokens
        return {
            "id": f"chatcmpl-{len(self.seen)}",
            "object": "chat.completion",
            "model": self._listed["id"],
            "choices": [{"index": 0, "message": message, "finish_reason": act.finish_reason}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }


def say_json(value: Any, **how: Any) -> Say:
    """Answer with ``value`` as JSON."""
    return Say(json.dumps(value), **how)
