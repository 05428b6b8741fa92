"""HTTP for the checks of model servers: one request without retries, so that a problem shows as it is."""

from __future__ import annotations

import urllib.error
import urllib.request

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # as a build: it asks models without a proxy


def fetch(url: str, key: str | None, body: bytes | None, seconds: float) -> bytes:
    """Return the content of an http(s) URL; raise OSError or ValueError on failure."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("an endpoint begins with http:// or https://")
    if key and not key.isprintable():  # the library's own error would show the key
        raise ValueError("the API key holds a line break or another control character")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    with _direct.open(urllib.request.Request(url, body, headers), timeout=seconds) as reply:  # noqa: S310
        content: bytes = reply.read()
    return content


def error_text(error: Exception) -> str:
    """Return an error message with the server's response body."""
    body = error.read().decode(errors="replace")[:200] if isinstance(error, urllib.error.HTTPError) else ""
    return f"{type(error).__name__}: {error} {body}".strip()
