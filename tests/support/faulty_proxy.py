"""An HTTP proxy in front of an S3 server that fails, stalls and cuts a share of the requests."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit


class FaultyProxy:
    """Forwards to ``upstream``; a share ``fail`` is answered 503 or not at all, a share ``stall`` stalls or is cut."""

    def __init__(self, upstream: str, *, fail: float, stall: float, seed: int = 0) -> None:
        self._upstream = urlsplit(upstream)
        self._fail, self._stall = fail, stall
        self._rng, self._lock = random.Random(seed), threading.Lock()
        self.seen: list[tuple[str, str]] = []
        self.faults: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultyProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fate(self) -> str:
        """Draw what happens to a request."""
        with self._lock:
            drawn = self._rng.random()
            if drawn < self._fail:
                fate = self._rng.choice(["failed", "failed", "dropped"])
            elif drawn < self._fail + self._stall:
                fate = self._rng.choice(["stalled", "cut"])
            else:
                return "forwarded"
            self.faults["failed" if fate == "dropped" else fate] += 1
            return fate

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        """Send one request on and its answer back, unless its fate is another."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.seen.append((handler.command, handler.path))
        fate = self.fate()
        if fate == "dropped":
            handler.close_connection = True
            return
        if fate == "failed":
            handler.send_response(503)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if fate == "stalled":
            time.sleep(1.5)
        upstream = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=30)
        # The signature covers the Host header that the client sent, so it is passed on as it is.
        upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in handler.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        handler.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                handler.send_header(name, value)
        length = answer.getheader("Content-Length") if handler.command == "HEAD" else str(len(data))
        handler.send_header("Content-Length", length or "0")
        handler.end_headers()
        if fate == "cut" and len(data) > 1:
            handler.wfile.write(data[: len(data) // 2])
            handler.close_connection = True
            return
        handler.wfile.write(data)

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                proxy.forward(self)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _any  # noqa: N815 - the names that the base class calls

            def log_message(self, *_: object) -> None:
                pass

        return Handler
