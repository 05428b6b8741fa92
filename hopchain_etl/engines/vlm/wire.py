"""One server on the wire: sends a request until it is answered or cannot be, and tells a bad row from a dead server."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from hopchain_etl.engines.base import JSON, EngineDownError
from hopchain_etl.engines.vlm.call import (
    ChatRequest,
    ChatResponse,
    IncompleteResponseError,
    parse_response,
    wire_body,
    wire_messages,
)
from hopchain_etl.settings import VlmSettings

log = logging.getLogger(__name__)

_PROBE_SECONDS = 10.0
_LONGEST_PAUSE = 60.0
_MAX_CONSECUTIVE_FAILURES = 32  # calls in a row given up on, none answered between: it is the server, not the rows
_MISCONFIGURED = {
    401: "it wants another API key",
    403: "the API key may not use it",
    404: "it does not know the model or the path",
}
_BUSY = {408, 425, 429}
# What a server that goes away, or a network between, does to a request. Before TimeoutError: a connection that cannot
# be made in time is one of these.
_LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, IncompleteResponseError)


class UnansweredError(Exception):
    """This one call cannot be answered; the message says why."""


class _RetryReason(StrEnum):
    LOST = "lost"  # the server failed, or its reply did not arrive whole
    TIMEOUT = "timeout"
    BUSY = "busy"  # it asked to be left alone for a while


class _RetryableError(Exception):
    """A request that another try may get answered. ``pause`` in seconds, where the server asked for one."""

    def __init__(self, kind: _RetryReason, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.pause = kind, pause


@dataclass(frozen=True)
class Prepared:
    """A call's messages, ready to be sent."""

    messages: list[JSON]
    image_tokens: int


class Server:
    """An OpenAI-compatible server. Everything but ``prepared`` belongs to one event loop."""

    def __init__(self, settings: VlmSettings, url: str, api_key: str | None) -> None:
        self._settings, self._url, self._api_key = settings, url, api_key
        self._given_up = 0  # requests in a row, with no answer between

    async def open(self) -> None:
        """Make ready to send; connects to nothing yet."""
        headers = {"Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        self._places = asyncio.Semaphore(self._settings.concurrency)
        self._probing = asyncio.Lock()
        # The semaphore above is the limit; a connection is used again or not as the server likes.
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def prepared(self, call: ChatRequest) -> Prepared:
        """Return a call ready to be sent. Loads, shrinks and encodes pictures, so call it in a thread."""
        return Prepared(*wire_messages(call))

    async def answer(self, prepared: Prepared, call: ChatRequest) -> ChatResponse:
        """Send a call until it is answered; raise UnansweredError where it cannot be, EngineDownError if none can."""
        body = wire_body(call, self._settings.model, prepared.messages)
        tries: Counter[_RetryReason] = Counter()
        give_up_at = time.monotonic() + self._settings.down_after_seconds + self._settings.timeout_seconds
        while True:
            try:
                answer = await self._send(body, prepared.image_tokens)
            except _RetryableError as trouble:
                tries[trouble.kind] += 1
                self._check(trouble, tries, give_up_at)
                log.info("asking again: %s", trouble)
                await asyncio.sleep(_backoff_seconds(tries[trouble.kind]) if trouble.pause is None else trouble.pause)
                if trouble.kind is not _RetryReason.BUSY:
                    await self._reachable()
            else:
                self._given_up = 0
                return answer

    async def _send(self, body: bytes, image_tokens: int) -> ChatResponse:
        """Send one request; raise _TroubleError where another may be answered."""
        limit = aiohttp.ClientTimeout(total=self._settings.timeout_seconds, sock_connect=_PROBE_SECONDS)
        try:
            async with self._places:
                started = time.monotonic()
                async with self._http.post(f"{self._url}/chat/completions", data=body, timeout=limit) as reply:
                    data = await reply.read()
            if reply.status != 200:
                raise self._refusal(reply.status, data, reply.headers.get("Retry-After"))
            return parse_response(data, image_tokens, time.monotonic() - started)
        except _LOST as error:
            raise _RetryableError(_RetryReason.LOST, f"{type(error).__name__}: {error}") from error
        except TimeoutError as error:
            message = f"no answer within {self._settings.timeout_seconds:g} s"
            raise _RetryableError(_RetryReason.TIMEOUT, message) from error

    def _refusal(self, status: int, data: bytes, retry_after: str | None) -> Exception:
        """Return what a status other than 200 means."""
        said = f"HTTP {status}: {data[:500].decode(errors='replace')}"
        if status in _MISCONFIGURED:
            return EngineDownError(f"{self._url} refuses every call: {_MISCONFIGURED[status]} ({said})")
        if status in _BUSY:
            return _RetryableError(_RetryReason.BUSY, said, _seconds(retry_after))
        if status >= 500:
            return _RetryableError(_RetryReason.LOST, said, _seconds(retry_after))
        self._given_up = 0  # it reads requests, and will not have this one
        return UnansweredError(said)

    def _check(self, trouble: _RetryableError, tries: Counter[_RetryReason], give_up_at: float) -> None:
        """Raise UnansweredError where a call was tried often enough, EngineDownError where all calls are."""
        attempts = tries[trouble.kind]
        if trouble.kind is _RetryReason.BUSY:
            enough = time.monotonic() > give_up_at
        elif trouble.kind is _RetryReason.TIMEOUT:
            enough = attempts >= self._settings.timeout_attempts
        else:
            enough = attempts >= self._settings.max_attempts
        if not enough:
            return
        if trouble.kind is _RetryReason.LOST:
            self._given_up += 1
            if self._given_up >= _MAX_CONSECUTIVE_FAILURES:
                raise EngineDownError(f"{self._url} failed {self._given_up} calls in a row; the last: {trouble}")
        raise UnansweredError(f"{trouble} (tried {attempts} times)") from trouble

    async def _reachable(self) -> None:
        """Return once the server lists its models; raise EngineDownError when it has not for down_after_seconds."""
        async with self._probing:
            patience = self._settings.down_after_seconds
            deadline = time.monotonic() + patience
            tries = 0
            while (problem := await self._problem()) is not None:
                if time.monotonic() >= deadline:
                    raise EngineDownError(f"{self._url} could not be reached for {patience:g} s: {problem}")
                tries += 1
                await asyncio.sleep(min(_backoff_seconds(tries), 10.0))

    async def _problem(self) -> str | None:
        """Return what keeps the server from listing its models; None where nothing does."""
        limit = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
        try:
            async with self._http.get(f"{self._url}/models", timeout=limit) as reply:
                return f"HTTP {reply.status}" if reply.status >= 500 else None
        except (TimeoutError, aiohttp.ClientError) as error:
            return f"{type(error).__name__} {error}".strip()


def _backoff_seconds(tries: int) -> float:
    """Return seconds to wait before another try: about half a second, doubling, never the same for all."""
    return min(_LONGEST_PAUSE, 0.5 * 2.0 ** (tries - 1)) * random.uniform(0.5, 1.5)  # noqa: S311


def _seconds(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date), at most a minute; None without."""
    if not value:
        return None
    if value.isdigit():
        return min(float(value), _LONGEST_PAUSE)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(0.0, seconds), _LONGEST_PAUSE)
