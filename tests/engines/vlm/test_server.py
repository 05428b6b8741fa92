"""A server of our own: started, waited for, ended; here in the shape of a stand-in for ``python -m vllm``."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.vlm.server import command_of, endpoint_of, launch
from hopchain_etl.settings import LaunchSettings, VlmSettings

STAND_IN = """#!{python}
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
    python = folder / "python"
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    how = LaunchSettings(python=str(python), extra_args=extra, ready_seconds=30, log_folder=str(folder / "logs"))
    return VlmSettings(model="org/Some-Thinking", launch=how)


def test_it_is_ready_when_it_is_returned_and_gone_when_stopped(tmp_path: Path) -> None:
    server = launch(settings_of(tmp_path))
    health = server.url.replace("/v1", "/health")
    with urllib.request.urlopen(health) as reply:
        assert reply.status == 200
    server.stop()
    with pytest.raises(OSError):
        urllib.request.urlopen(health, timeout=2)


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineDownError, match="no such flag --refuse"):
        launch(settings_of(tmp_path, "--refuse"))


def test_a_given_endpoint_starts_nothing() -> None:
    assert endpoint_of(VlmSettings(endpoint_url="http://elsewhere:8000/v1")) == "http://elsewhere:8000/v1"


def test_the_command_passes_settings_on_and_the_users_flags_last() -> None:
    how = LaunchSettings(tensor_parallel=4, quantization="fp8", extra_args=("--max-model-len", "9"))
    command = command_of(VlmSettings(model="org/Some-Thinking", revision="abc", launch=how), 8000)
    assert command[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]
    pairs = dict(zip(command[3::2], command[4::2], strict=True))
    assert pairs["--tensor-parallel-size"] == "4"
    assert pairs["--quantization"] == "fp8"
    assert pairs["--revision"] == "abc"
    assert pairs["--reasoning-parser"] == "qwen3"
    assert pairs["--host"] == "127.0.0.1"
    assert command[-2:] == ["--max-model-len", "9"]
