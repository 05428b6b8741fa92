"""HTTP layer for one server: sends requests with retries, and tells a bad row from a dead server."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from hopchain_etl.engines.base import JSON, EngineDownError
from hopchain_etl.engines.in_flight import request_in_flight
from hopchain_etl.engines.vlm.call import (
    LIMIT,
    NEWER_LIMIT,
    ChatRequest,
    ChatResponse,
    IncompleteResponseError,
    error_status,
    parse_response,
    wants_newer_limit,
    wire_body,
    wire_messages,
)
from hopchain_etl.engines.vlm.endpoint import address, headers, proxy, shown
from hopchain_etl.engines.vlm.request_limit import shared_limit
from hopchain_etl.settings import VlmSettings

log = logging.getLogger(__name__)

_PROBE_SECONDS = 10.0
_LONGEST_PAUSE = 60.0
_MAX_CONSECUTIVE_FAILURES = 32  # consecutive failed calls after which the server, not the rows, is considered broken
_MISCONFIGURED = {
    401: "the API key is wrong",
    402: "the account has no credit",
    404: "it does not know the model or the path",
    407: "the proxy on the way wants a name and a password; write them into its address",
}
_FORBIDDEN = 403
_BUSY = {408, 425, 429}
_REFUSED = {400, 413, 414, 415, 422}  # what is wrong is the request, so that it would be refused again
# Some servers and gateways answer a prompt that is too long with 500.
_TOO_LONG = re.compile(r"context[ _-]?(length|size|window)|too many tokens|prompt is too long", re.IGNORECASE)
# What a moderation says of one photo or prompt: OpenAI, Azure, OpenRouter (with status 403), LiteLLM, DashScope.
_MODERATED = re.compile(
    r"content[ _-]?(filter|management|policy)|data_?inspection_?failed|flagged_input|input was flagged|"
    r"inappropriate content|moderation_blocked|ResponsibleAIPolicyViolation|safety system",
    re.IGNORECASE,
)
# What servers say, often with status 400, of every request, so that every other one would fail, too.
_SAYS_OF_ALL = {
    re.compile(pattern, re.IGNORECASE): reason
    for pattern, reason in {
        r"insufficient_quota|budget_exceeded|credit balance is too low|arrearage": _MISCONFIGURED[402],
        r"(invalid|incorrect)[ _]api[ _]key|api[ _]key[ _](not (valid|found)|invalid|expired)": _MISCONFIGURED[401],
        r"model_not_found|invalid model name": _MISCONFIGURED[404],
        r"location is not supported": "it is not offered in this country",
        r"unsupported[ _](parameter|value)|unrecognized request argument|extra_forbidden": (
            "it does not take one of our parameters; see the sections ask and vlm of the settings"
        ),
        r"not a multimodal model|at most 0 image|does not support image input|image input is not supported": (
            "its model takes no pictures"
        ),
        r"at most \d+ image": (
            "it takes too few pictures in one request; serve it with --limit-mm-per-prompt '{\"image\": 16}'"
        ),
        r"invalid schema for response_format|failed to parse grammar|grammar error|schema contains features": (
            "it does not take the JSON schema of the answers; docs/real-models.md says how to serve a model"
        ),
        r"at most \d+ completion tokens": "its model writes fewer tokens; lower ask.max_tokens",
    }.items()
}
# Errors caused by a stopped server, the network, or a reply that is no HTTP. Must be caught before TimeoutError,
# because a connection timeout is one of these.
_LOST = (aiohttp.ClientError, IncompleteResponseError)


class UnansweredError(Exception):
    """This call has no answer; the message gives the reason. ``permanent``: the server would refuse it again."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class _RetryReason(StrEnum):
    LOST = "lost"  # the server failed, or its response was incomplete
    TIMEOUT = "timeout"
    BUSY = "busy"  # it asked us to wait
    FORBIDDEN = "forbidden"  # for everything, or by a firewall for this prompt: other calls show which


class _RetryableError(Exception):
    """A request that may succeed on a retry. ``pause``: seconds to wait, if the server requested it."""

    def __init__(self, kind: _RetryReason, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.pause = kind, pause


class _OlderLimitError(Exception):
    """The server wants the limit of an answer under its newer name."""


@dataclass(frozen=True)
class Prepared:
    """A call's messages, ready to be sent."""

    messages: list[JSON]
    image_tokens: int


class Server:
    """An OpenAI-compatible server. Use all methods except ``prepared`` from one event loop only."""

    def __init__(self, settings: VlmSettings, url: str, api_key: str | None) -> None:
        self._settings, self._url, self._api_key = settings, url, api_key
        self._shown, self._proxy = shown(url), proxy(settings)
        self._limit = shared_limit(url, settings.concurrency)
        self._limit_name = LIMIT
        self._consecutive_failures = 0  # consecutive failed requests without an answer in between
        self._has_answered = False

    async def open(self) -> None:
        """Create the HTTP session; does not connect yet."""
        self._probing = asyncio.Lock()
        # The limit is that of requests; whether connections are reused is up to the server.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), headers=headers(self._url, self._api_key)
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def prepared(self, call: ChatRequest) -> Prepared:
        """Return a call ready to be sent. Loads, shrinks and encodes pictures, so it blocks; call it in a thread."""
        return Prepared(*wire_messages(call))

    async def answer(self, prepared: Prepared, call: ChatRequest) -> ChatResponse:
        """Return the answer to a call, with retries; raise UnansweredError if it fails, EngineDownError if all do."""
        limit = self._limit_name
        body = wire_body(call, self._settings.model, prepared.messages, limit)
        attempts: Counter[_RetryReason] = Counter()
        give_up_at = time.monotonic() + self._settings.down_after_seconds + self._settings.timeout_seconds
        while True:
            try:
                answer = await self._send(body, prepared.image_tokens)
            except _OlderLimitError as error:
                if limit == NEWER_LIMIT:
                    raise EngineDownError(f"{self._shown} knows no name for the limit of an answer: {error}") from error
                limit = self._limit_name = NEWER_LIMIT
                body = wire_body(call, self._settings.model, prepared.messages, limit)
            except _RetryableError as error:
                attempts[error.kind] += 1
                self._raise_if_exhausted(error, attempts, give_up_at)
                log.info("retrying: %s", error)
                await asyncio.sleep(error.pause or _backoff_seconds(attempts[error.kind]))
                if error.kind in (_RetryReason.LOST, _RetryReason.TIMEOUT):
                    await self._wait_until_reachable()
            else:
                self._consecutive_failures, self._has_answered = 0, True
                return answer

    async def _send(self, body: bytes, image_tokens: int) -> ChatResponse:
        """Send one request; raise _RetryableError if a retry may succeed."""
        limit = aiohttp.ClientTimeout(total=self._settings.timeout_seconds, sock_connect=_PROBE_SECONDS)
        try:
            async with self._limit:
                started = time.monotonic()
                with request_in_flight():
                    async with self._http.post(
                        address(self._url, "chat/completions"), data=body, timeout=limit, proxy=self._proxy
                    ) as reply:
                        data = await reply.read()
            # Most redirects make a GET without prompt of a POST; those to https or to another host drop the API key.
            if reply.history and (reply.method != "POST" or reply.status in {*_MISCONFIGURED, _FORBIDDEN}):
                place = str(reply.url.with_query(None)).removesuffix("/chat/completions")
                raise EngineDownError(f"{self._shown} redirects to {place}: write that as endpoint_url")
            if reply.status != 200:
                raise self._status_error(reply.status, data, reply.headers.get("Retry-After"))
            try:
                return parse_response(data, image_tokens, time.monotonic() - started)
            except IncompleteResponseError:
                if status := error_status(data):
                    raise self._status_error(status, data, reply.headers.get("Retry-After")) from None
                raise
        except ValueError as error:  # of a request that cannot be sent: no other one can be
            problem = f"{type(error).__name__}: {error}"
            raise EngineDownError(
                f"{self._shown} cannot be asked; correct this address or the API key. {problem}"
            ) from error
        except _LOST as error:
            raise _RetryableError(_RetryReason.LOST, f"{type(error).__name__}: {error}") from error
        except TimeoutError as error:
            message = f"no answer within {self._settings.timeout_seconds:g} s"
            raise _RetryableError(_RetryReason.TIMEOUT, message) from error

    def _status_error(self, status: int, data: bytes, retry_after: str | None) -> Exception:
        """Return the exception for an HTTP status other than 200."""
        message = f"HTTP {status}: {data[:500].decode(errors='replace')}"
        if status == 400 and wants_newer_limit(message):
            return _OlderLimitError(message)
        is_moderated = bool(_MODERATED.search(message)) and not _is_page(data)
        of_this = is_moderated or (status >= 500 and bool(_TOO_LONG.search(message)))
        if not of_this:
            if reason := _reason_for_all(status, message):
                return self._rejects_every_call(reason, message)
            if status == _FORBIDDEN:
                return _RetryableError(_RetryReason.FORBIDDEN, message)
            if status in _BUSY or status >= 500:
                kind = _RetryReason.BUSY if status in _BUSY else _RetryReason.LOST
                return _RetryableError(kind, message, _seconds(retry_after))
        self._consecutive_failures = 0  # the server works but rejects this request
        return UnansweredError(message, permanent=of_this or status in _REFUSED)

    def _rejects_every_call(self, reason: str, message: str) -> EngineDownError:
        return EngineDownError(f"{self._shown} rejects every call: {reason} ({message})")

    def _raise_if_exhausted(self, error: _RetryableError, attempts: Counter[_RetryReason], give_up_at: float) -> None:
        """Raise UnansweredError if the call has no attempts left, EngineDownError if too many calls failed in a row."""
        count = attempts[error.kind]
        if error.kind is _RetryReason.BUSY:
            enough = time.monotonic() > give_up_at
        elif error.kind is _RetryReason.TIMEOUT:
            enough = count >= self._settings.timeout_attempts
        else:
            enough = count >= self._settings.max_attempts
        if not enough:
            return
        if error.kind is _RetryReason.FORBIDDEN and not self._has_answered:
            raise self._rejects_every_call("the API key has no permission", str(error)) from error
        self._consecutive_failures += 1
        if self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            raise EngineDownError(
                f"{self._shown} failed {self._consecutive_failures} calls in a row; the last: {error}"
            )
        raise UnansweredError(f"{error} (tried {count} times)") from error

    async def _wait_until_reachable(self) -> None:
        """Return once the server lists its models; raise EngineDownError after down_after_seconds without success."""
        async with self._probing:
            patience = self._settings.down_after_seconds
            deadline = time.monotonic() + patience
            attempts = 0
            while (problem := await self._probe_error()) is not None:
                if time.monotonic() >= deadline:
                    raise EngineDownError(f"{self._shown} could not be reached for {patience:g} s: {problem}")
                attempts += 1
                await asyncio.sleep(min(_backoff_seconds(attempts), 10.0))

    async def _probe_error(self) -> str | None:
        """Return the error of listing the server's models; None if it works."""
        limit = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
        try:
            async with self._http.get(address(self._url, "models"), timeout=limit, proxy=self._proxy) as reply:
                return f"HTTP {reply.status}" if reply.status >= 500 else None
        except (TimeoutError, aiohttp.ClientError) as error:
            return f"{type(error).__name__} {error}".strip()


def _is_page(data: bytes) -> bool:
    """Return whether a reply is a web page: that of a proxy whose content filter blocks the server for everybody."""
    return data.lstrip().startswith(b"<")


def _reason_for_all(status: int, message: str) -> str | None:
    """Return why the server rejects every request; None if it may be only this one, or only for now.

    A status of 500 and more may pass, whatever the server lacks, unless that is credit or a key.
    """
    said = [reason for pattern, reason in _SAYS_OF_ALL.items() if pattern.search(message)]
    lasting = [reason for reason in said if status < 500 or reason in (_MISCONFIGURED[401], _MISCONFIGURED[402])]
    return next(iter(lasting), _MISCONFIGURED.get(status))


def _backoff_seconds(attempts: int) -> float:
    """Return seconds to wait before a retry: exponential backoff from about half a second, with jitter."""
    return min(_LONGEST_PAUSE, 0.5 * 2.0 ** (attempts - 1)) * random.uniform(0.5, 1.5)  # noqa: S311


def _seconds(value: str | None) -> float | None:
    """Return the seconds in a Retry-After header (a number or a date), at most one minute; None without the header.

    Zero, as of a date that has passed by the clock here, is no time to wait: the caller has its own.
    """
    if not value:
        return None
    if value.isdecimal():
        return min(float(value), _LONGEST_PAUSE)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(0.0, seconds), _LONGEST_PAUSE)
