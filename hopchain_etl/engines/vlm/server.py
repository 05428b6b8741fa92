"""Launches a vLLM server on this node if no endpoint is configured, and always stops it again.

The server runs below a watcher (``python -m hopchain_etl.engines.vlm.watcher``) that ends it, with all its workers, as
soon as this process ends, even if it is killed.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from dataclasses import dataclass
from pathlib import Path

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.launches import Launch, record_launch
from hopchain_etl.engines.proxies import opener
from hopchain_etl.engines.weights import MissingWeightsError, false_weights_in
from hopchain_etl.settings import VlmSettings

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_STOP_SECONDS = 30.0
_IMAGES_PER_PROMPT = 16
_running: dict[tuple[str, ...], LaunchedServer] = {}  # by the command that serves the model
_starting = threading.Lock()


def endpoint_of(settings: VlmSettings) -> str:
    """Return the base URL of the server of a model: the configured one, or one launched in this process.

    A launched server is shared by all users of the same model in this process, and stopped when it ends. Raises
    EngineDownError if the server does not become ready.
    """
    if settings.endpoint_url:
        return settings.endpoint_url
    served = tuple(command_of(settings, port=0))
    with _starting:
        running = _running.get(served)
        if running is None or not running.alive():
            running = _running[served] = launch(settings)
            atexit.register(running.stop)
        return running.url


@dataclass
class LaunchedServer:
    """A vLLM server that runs below its watcher; its output is in ``log_file``."""

    url: str
    log_file: Path
    watcher: subprocess.Popen[bytes]

    def alive(self) -> bool:
        """Return whether it runs."""
        return self.watcher.poll() is None

    def stop(self) -> None:
        """End the server and its workers, and wait for that."""
        if self.alive():
            self.watcher.send_signal(signal.SIGTERM)
        try:
            self.watcher.wait(_STOP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            log.warning("the watcher of %s does not end", self.url)
            self.watcher.kill()

    def log_tail(self, size: int = 3_000) -> str:
        """Return the path of its log and the last lines."""
        return f"{self.log_file} ends:\n{self.log_file.read_bytes()[-size:].decode(errors='replace')}"


def launch(
    settings: VlmSettings, port: int | None = None, *, host: str = LOOPBACK, api_key: str | None = None
) -> LaunchedServer:
    """Start a server for the model in ``settings`` and return it once it is ready; raise EngineDownError otherwise.

    It listens on ``port`` of the interface with the address ``host``, or on a free one, and wants ``api_key`` if given.
    """
    port = port or _free_port(host)
    folder = Path(settings.launch.log_folder or tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / f"hopchain-vllm-{os.getpid()}-{port}.log"
    watcher = [sys.executable, "-m", "hopchain_etl.engines.vlm.watcher", str(os.getpid()), str(_STOP_SECONDS)]
    with log_file.open("wb") as sink:
        process = subprocess.Popen(
            [*watcher, *command_of(settings, port, host)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "VLLM_API_KEY": api_key or ""},  # none is none, whatever this process has inherited
        )
    log.info("starting %s on port %d, log in %s", settings.model, port, log_file)
    started = time.monotonic()
    server = LaunchedServer(f"http://{host}:{port}/v1", log_file, process)
    try:
        _wait(server, f"http://{host}:{port}/health", settings.launch.ready_seconds)
    except BaseException as error:
        server.stop()
        if isinstance(error, EngineDownError) and (false := false_weights_in(settings.model)):
            raise MissingWeightsError(f"{error}\nThe cause may be this: {false}") from error
        raise
    seconds = time.monotonic() - started
    log.info("the vLLM server was ready after %.0f s", seconds)
    record_launch(Launch(settings.model, settings.launch.tensor_parallel, round(seconds, 1)))
    return server


def command_of(settings: VlmSettings, port: int, host: str = LOOPBACK) -> list[str]:
    """Return the command that serves the model on ``port`` of the interface with the address ``host``."""
    options = settings.launch
    command = [options.python or sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--host", host, "--port", str(port), "--model", settings.model]
    if not Path(settings.model).is_dir():
        command += ["--revision", settings.revision]
    command += ["--tensor-parallel-size", str(options.tensor_parallel), "--max-model-len", str(options.max_model_len)]
    if options.quantization:
        command += ["--quantization", options.quantization]
    # guidance enforces string lengths, xgrammar does not; unrestricted white space could be endless.
    outputs = {"backend": "guidance", "disable_any_whitespace": True}
    command += ["--structured-outputs-config", json.dumps(outputs)]
    command += ["--limit-mm-per-prompt", json.dumps({"image": _IMAGES_PER_PROMPT, "video": 0})]
    if settings.reasoning_parser:
        command += ["--reasoning-parser", settings.reasoning_parser]
    return [*command, *options.extra_args]


def _wait(server: LaunchedServer, health: str, seconds: float) -> None:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if not server.alive():
            raise EngineDownError(f"the vLLM server ended before it was ready. {server.log_tail()}")
        try:
            with opener().open(health, timeout=5):  # HTTP_PROXY is not meant for a server of ours
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise EngineDownError(f"the vLLM server was not ready after {seconds:g} s. {server.log_tail()}")


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
