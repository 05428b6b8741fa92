"""Checks and headers for every request: body size limit, origin check, security headers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hopchain_etl.web.errors import DeskError, NotJson, TooLarge, WrongOrigin

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024  # bytes
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # which browsers leave out of an origin, and some proxies do not
_READING = {"GET", "HEAD"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",  # unless a route sets another value
}


class Guard:
    """ASGI middleware: rejects invalid write requests, and adds security headers to all responses.

    Write requests must be JSON, come from a page of this server, and not be too large.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str] = ()) -> None:
        self.app = app
        self.origins = {_place(*_split(origin)) for origin in origins} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                existing = {name.lower() for name, _ in message.get("headers", [])}
                more = [(name, value) for name, value in _HEADERS.items() if name not in existing]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        try:
            if scope["method"] not in _READING:
                self._check(scope)
                receive = _once(await _body(receive))
        except DeskError as error:
            await _reject(error, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        """Raise a DeskError if a write is not JSON or not from a page of this server (protection against CSRF)."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise NotJson("send Content-Type: application/json")
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        scheme, place = _split(origin or "")
        # The scheme is the browser's: where a proxy ends TLS, ours is another.
        ours = self.origins | {_place(scheme, headers.get("host", ""))} - {""}
        by_token = "authorization" in headers  # browsers never add this header to cross-site requests
        is_ours = _place(scheme, place) in ours
        if (site not in (None, "same-origin")) or not (is_ours or (origin is None and (by_token or site))):
            log.warning(
                "a write from the origin %r was refused, ours are %s; if that is this Airflow's address in a browser, "
                "set it as AIRFLOW__API__BASE_URL, or let the proxy pass the header Host",
                *(origin, sorted(ours)),
            )
            raise WrongOrigin("this request does not come from a page of this server")


def _split(origin: str) -> tuple[str, str]:
    """Return the scheme of an origin, and its host with the port; empty ones for what is no origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


def _place(scheme: str, place: str) -> str:
    """Return a host as browsers write it in an origin of this scheme: small letters, no default port."""
    return place.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))


async def _body(receive: Receive) -> bytes:
    """Return a request's body; raise TooLarge as soon as it exceeds the limit, regardless of Content-Length."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST_BODY:
            raise TooLarge(f"at most {LARGEST_BODY} bytes")
        if not message.get("more_body"):
            return body


def _once(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _reject(error: DeskError, send: Send) -> None:
    body = json.dumps({"error": error.code, "message": str(error)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
