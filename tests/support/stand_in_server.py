"""A stand-in for ``python -m vllm``: ready at once, and answers a prompt with its sha256 to whoever knows the key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hopchain_etl.engines.vlm import server
from hopchain_etl.settings import LaunchSettings, VlmSettings

_STAND_IN = """#!{python}
import hashlib, http.server, json, os, sys
if "--refuse" in sys.argv:
    sys.exit("no such flag --refuse")
host, port = (sys.argv[sys.argv.index(name) + 1] for name in ("--host", "--port"))
key = os.environ.get("VLLM_API_KEY")
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        known = not key or self.headers["Authorization"] == f"Bearer {{key}}"
        text = hashlib.sha256(json.dumps(json.loads(asked)["messages"]).encode()).hexdigest()
        answer = {{"choices": [{{"message": {{"content": text}}, "finish_reason": "stop"}}]}}
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((host, int(port)), Server).serve_forever()
"""


def settings_of(folder: Path, *extra: str) -> VlmSettings:
    """Settings of a model without an endpoint, whose launch starts the stand-in."""
    python = folder / "python"
    python.write_text(_STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    how = LaunchSettings(python=str(python), extra_args=extra, ready_seconds=30, log_folder=str(folder / "logs"))
    return VlmSettings(model="org/some", launch=how)


@contextmanager
def all_stopped() -> Iterator[None]:
    """Stop at the end all servers that this process has launched."""
    try:
        yield
    finally:
        for running in server._running.values():
            running.stop()
        server._running.clear()
