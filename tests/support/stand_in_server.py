"""A stand-in for ``python -m vllm``: it is ready at once and answers nothing but ``/health``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hopchain_etl.engines.vlm import server
from hopchain_etl.settings import LaunchSettings, VlmSettings

_STAND_IN = """#!{python}
import http.server, sys
if "--refuse" in sys.argv:
    sys.exit("no such flag --refuse")
port = int(sys.argv[sys.argv.index("--port") + 1])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
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
