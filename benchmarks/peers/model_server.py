"""A server that answers as a model would, fails as planned, and writes down every call.

A stand-in, not a model: an answer takes the time of its tokens, and so many are answered at a time as a server's batch
has places. So it costs little on a machine that the clients also need. With ``upstream``, a real server answers
instead, and this one only fails as planned and writes down.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.peers.rows import MODEL
from support.scripted_server import Act, Hang, Refuse, Say, ScriptedServer, prompt_of

FIRST_TOKEN, EACH_TOKEN = 0.05, 0.01  # seconds


@dataclass(frozen=True)
class Call:
    """A request that came: the row's number, when it came and when it ended, and the status of the reply.

    ``status`` is 0 if there was no reply: the server was ended, or the client gave up.
    """

    row: int
    began: float
    ended: float
    status: int


@dataclass(frozen=True)
class Faults:
    """What goes wrong: rows that are refused, rows that never get a reply, rows whose first call fails with 500.

    The server is ended after ``restart_after`` answers and started again ``down_seconds`` later.
    """

    refused: Collection[int] = ()
    hanging: Collection[int] = ()
    failing: Collection[int] = ()
    restart_after: int | None = None
    down_seconds: float = 3.0

    @property
    def bad(self) -> set[int]:
        """The rows that cannot have an answer."""
        return {*self.refused, *self.hanging}


def row_of(body: dict[str, Any]) -> int | None:
    """Return the number of the row that a request is about; None for a client's own first greeting."""
    prompt = prompt_of(body)
    return int(prompt.removeprefix("row ").split(":")[0]) if prompt.startswith("row ") else None


def text_of(row: int) -> str:
    """Return what the stand-in answers."""
    return f"the answer to row {row}"


@dataclass
class Log:
    """All calls since the last ``clear``."""

    calls: list[Call] = field(default_factory=list)

    @property
    def answered(self) -> list[Call]:
        return [call for call in self.calls if call.status == 200]

    @property
    def repeated(self) -> int:
        """How many calls came for rows that had been called before."""
        return len(self.calls) - len({call.row for call in self.calls})

    @property
    def paid_twice(self) -> int:
        """How many answers were given to rows that had been answered before."""
        return len(self.answered) - len({call.row for call in self.answered})


class ModelServer(ScriptedServer):
    """Answers ``places`` requests at a time. ``expect`` begins a run; ``log`` says what came since."""

    def __init__(self, places: int, upstream: str | None = None) -> None:
        self.expect(lambda row: 1)
        self.is_real = upstream is not None
        self._places, self._upstream = asyncio.Semaphore(places), upstream
        super().__init__(self._plan, MODEL)

    def expect(self, tokens: Callable[[int], int], faults: Faults | None = None) -> None:
        """Begin a run: forget the calls so far, answer each row with so many tokens, and fail in this way."""
        self.tokens, self.faults, self.log = tokens, faults or Faults(), Log()
        self.seen, self.headers = [], []

    def _plan(self, body: dict[str, Any], times: int) -> Act:
        row, faults = row_of(body), self.faults
        if row is None:
            return Say("hello")
        if row in faults.refused:
            return Refuse(400, "this photo cannot be read")
        if row in faults.hanging:
            return Hang()
        if row in faults.failing and times == 1:
            return Refuse(500, "out of memory")
        return Say(text_of(row), seconds=FIRST_TOKEN + EACH_TOKEN * self.tokens(row))

    async def _act(self, request: web.Request, act: Act) -> web.StreamResponse:
        log, row, began, status = self.log, row_of(await request.json()), time.time(), 0
        if row is None:
            return await super()._act(request, act)
        try:
            if isinstance(act, Say):
                async with self._places:
                    reply = await (self._forwarded(request, row) if self._upstream else super()._act(request, act))
            else:
                reply = await super()._act(request, act)
            status = reply.status
            return reply
        finally:
            log.calls.append(Call(row, began, time.time(), status))
            if status == 200 and len(log.answered) == self.faults.restart_after:
                threading.Thread(target=self._restart, args=[self.faults.down_seconds]).start()

    def _restart(self, pause: float) -> None:
        self.kill()
        time.sleep(pause)
        self.restart()

    async def _forwarded(self, request: web.Request, row: int) -> web.Response:
        body = await request.json() | {"max_tokens": self.tokens(row)}
        async with aiohttp.ClientSession() as http, http.post(f"{self._upstream}/chat/completions", json=body) as reply:
            return web.Response(body=await reply.read(), status=reply.status, content_type="application/json")
