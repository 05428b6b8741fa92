"""HTTP for the checks of model servers: one request without retries, so that a problem shows as it is."""

from __future__ import annotations

import urllib.error
import urllib.request

from hopchain_etl.engines.proxies import opener
from hopchain_etl.engines.vlm.endpoint import headers


class RefusedError(OSError):
    """The server answers with another status than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text[:500]}")
        self.status = status


def fetch(url: str, key: str | None, body: bytes | None, seconds: float, proxy: str | None = None) -> bytes:
    """Return the content of an http(s) URL, asked as a build asks; raise OSError or ValueError on failure."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("an endpoint begins with http:// or https://")
    if key and not key.isprintable():  # the library's own error would show the key
        raise ValueError("the API key holds a line break or another control character")
    request = urllib.request.Request(url, body, headers(url, key))  # noqa: S310
    try:
        with opener(proxy).open(request, timeout=seconds) as reply:
            content: bytes = reply.read()
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, error.read().decode(errors="replace")) from error
    return content


def error_text(error: Exception) -> str:
    """Return an error with its type, except for a server's own words."""
    return str(error) if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}".strip()
