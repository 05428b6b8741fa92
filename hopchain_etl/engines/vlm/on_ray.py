"""A vLLM server that an actor of a Ray cluster launches, and keeps for all tasks until none has used it for a while."""

from __future__ import annotations

import atexit
import secrets
import threading
from typing import Any

from hopchain_etl.engines import ray_actors
from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.launches import Launch, launches_since, record_launch
from hopchain_etl.engines.ray_actors import ActorLostError, HeldModel
from hopchain_etl.engines.vlm.server import LaunchedServer, command_of, launch
from hopchain_etl.settings import RaySettings, VlmSettings

_CALLS = 64  # tasks that may wait for the server at a time


class VlmServerActor(HeldModel):
    """Launches the server on its node, reachable from other nodes with a key that only the actor and its tasks know."""

    def __init__(self, idle_seconds: float, package: str, settings: VlmSettings) -> None:
        super().__init__(idle_seconds, package)
        self._settings, self._key = settings, secrets.token_hex(16)
        self._server: LaunchedServer | None = None
        self._launching = threading.Lock()

    def endpoint(self) -> tuple[str, str, list[Launch]]:
        """Return URL and API key of the running server, and its launch if this call launched it.

        Raises EngineDownError if it does not become ready.
        """
        import ray

        with self.used(), self._launching:
            before = len(launches_since())
            if self._server is None or not self._server.alive():
                self._server = launch(self._settings, host=ray.util.get_node_ip_address(), api_key=self._key)
            return self._server.url, self._key, launches_since(before)


def endpoint_on_ray(settings: VlmSettings, ray: RaySettings) -> tuple[str, str]:
    """Return URL and API key of the server that the cluster holds for a model; it is kept as long as this process runs.

    Raises EngineDownError if the cluster cannot be used or the server does not become ready.
    """
    ray_actors.connect(ray)
    how = settings.launch
    facts = [command_of(settings, port=0), how.tensor_parallel]
    server = ray_actors.held(ray, VlmServerActor, facts, settings, gpus=how.tensor_parallel, calls=_CALLS)
    try:
        url, key, launches = ray_actors.ask(server, "endpoint", seconds=ray.ready_seconds + how.ready_seconds)
    except ActorLostError as error:
        raise EngineDownError(f"the actor for {settings.model} ended; see the logs of Ray: {error}") from error
    for one in launches:
        record_launch(one)
    _kept.keep(url, server, ray.idle_seconds / 4)
    return url, key


class _Kept:
    """Tells actors that they are in use, as long as this process runs: only the server sees the requests."""

    def __init__(self) -> None:
        self._servers: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, url: str, server: Any, seconds: float) -> None:
        """Tell ``server`` so every ``seconds`` from now on."""
        self._servers[url] = server
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(seconds,), name="ray-vlm", daemon=True)
            self._thread.start()
            atexit.register(self._end)  # before Ray disconnects, which registered itself earlier

    def _run(self, seconds: float) -> None:
        import ray

        while not self._ended.wait(seconds) and ray.is_initialized():
            for server in tuple(self._servers.values()):
                server.touch.remote()

    def _end(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()


_kept = _Kept()
