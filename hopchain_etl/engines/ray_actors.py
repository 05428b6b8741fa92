"""Actors of a Ray cluster that hold models: found by name, made if missing, and ended when nobody uses them.

Actors are detached, so they outlive the task that made them. The name says which model, settings and version of this
package an actor holds; whoever wants the same gets the same. ray is imported at use, and nothing is imported from it
above.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from hopchain_etl.engines.base import EngineDownError, canonical_json
from hopchain_etl.settings import RaySettings

INSTALL = "pip install 'hopchain-etl[ray]' there, with the Ray version and Python version of the cluster"
_CONNECT_SECONDS = 10.0
_ANSWERS_LEAVE_SECONDS = 1.0
_connecting = threading.Lock()


def connect(settings: RaySettings) -> None:
    """Connect this process to the cluster, once. Raises EngineDownError, which names the remedy, if that fails."""
    try:
        import ray
    except ImportError:
        raise EngineDownError(f"engines.launch is ray, and Ray is not installed where this runs; {INSTALL}") from None
    remedy = "start it, or correct HOPCHAIN_ENGINES__RAY__ADDRESS"
    with _connecting:
        if ray.is_initialized():
            return
        before = signal.getsignal(signal.SIGTERM)
        try:
            _check_answers(settings.address)
            ray.init(settings.address, namespace=settings.namespace, log_to_driver=False, logging_level=logging.WARNING)
        except (OSError, RuntimeError, ValueError) as error:  # ConnectionError among them
            text = f"no Ray cluster can be used at {settings.address}: {type(error).__name__}: {error}"
            raise EngineDownError(f"{text}; {remedy}") from error
        finally:
            # Ray replaces the handler, with which a task stops gracefully.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _check_answers(address: str) -> None:
    """Raise OSError if nobody listens there. Ray itself tries for minutes."""
    given = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    place = urlsplit(given if "://" in given else f"//{given}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), _CONNECT_SECONDS).close()


class ActorLostError(Exception):
    """An actor ended before it answered; the same request to another one, or to a new one of its name, may succeed."""


class HeldModel:
    """What every actor is made of: it ends, and frees its GPUs, when it has not been used for ``idle_seconds``."""

    def __init__(self, idle_seconds: float, package: str) -> None:
        """Raise EngineDownError if this node has another version than ``package``, that of the task."""
        if package != (here := version("hopchain-etl")):
            raise EngineDownError(f"a node of the Ray cluster has hopchain-etl {here}, the task {package}; install one")
        import ray

        self._idle_seconds, self._users, self._last = idle_seconds, 0, time.monotonic()
        self._counting, self._over = threading.Lock(), threading.Event()
        self._me = ray.get_runtime_context().current_actor
        threading.Thread(target=self._end_when_idle, name="idle", daemon=True).start()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Count as used inside the block, and until ``idle_seconds`` after it."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def touch(self) -> None:
        """Count as used now."""
        with self.used():
            pass

    def end(self) -> None:
        """End this actor in a moment, after its answers: the next request makes a new one."""
        self._over.set()

    def _count(self, users: int) -> None:
        with self._counting:
            self._users += users
            self._last = time.monotonic()

    def _end_when_idle(self) -> None:
        import ray

        while self._users or (left := self._last + self._idle_seconds - time.monotonic()) > 0:
            if self._over.wait(self._idle_seconds if self._users else left):
                time.sleep(_ANSWERS_LEAVE_SECONDS)
                break
        ray.kill(self._me)


def held(
    settings: RaySettings,
    kind: type[HeldModel],
    facts: Any,
    *args: Any,
    number: int = 0,
    cpus: int = 1,
    gpus: float,
    calls: int,
) -> Any:
    """Return the handle of actor ``number`` that holds the model of these ``facts`` (JSON). Call ``connect`` first.

    It is made if there is none, as a ``kind`` with ``args`` after those of HeldModel; it works on ``calls`` requests at
    a time. Raises EngineDownError if the cluster does not answer.
    """
    import ray

    package = version("hopchain-etl")
    digest = hashlib.sha256(canonical_json([package, facts]).encode()).hexdigest()[:12]
    options = {
        "name": f"{kind.__name__}-{digest}-{number}",
        "namespace": settings.namespace,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": cpus,
        "num_gpus": gpus,
        "max_concurrency": calls,
    }
    try:
        return ray.remote(kind).options(**options).remote(settings.idle_seconds, package, *args)
    except (ray.exceptions.RayError, OSError, RuntimeError) as error:
        raise EngineDownError(f"the Ray cluster does not answer: {type(error).__name__}: {error}") from error


def ask(handle: Any, method: str, *args: Any, seconds: float) -> Any:
    """Return what the ``method`` of an actor returns for ``args``.

    An error of the method is raised as it is. Raises ActorLostError if the actor ended, and EngineDownError if the
    cluster does not answer. An actor that has not answered after ``seconds``, waiting for its GPUs included, is ended,
    and EngineDownError says what is free.
    """
    import ray
    from ray import exceptions as errors

    ended = (
        errors.RayActorError, errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError,
        errors.ObjectLostError,
    )  # fmt: skip
    try:
        return ray.get(getattr(handle, method).remote(*args), timeout=seconds)
    except errors.RayTaskError as error:
        raise error.cause from error
    except ended as error:
        raise ActorLostError(str(error)) from error
    except errors.GetTimeoutError:
        ray.kill(handle)  # else it would wait for its GPUs for ever
        free = ray.available_resources()
        raise EngineDownError(
            f"an actor of the Ray cluster has not answered in {seconds:g} s. Free there are {free.get('CPU', 0):g} "
            f"CPUs and {free.get('GPU', 0):g} GPUs: if that is too little for it, add nodes or lower "
            "HOPCHAIN_ENGINES__RAY__SAM3_ACTORS; else see the logs of Ray"
        ) from None
    except (errors.RayError, OSError, RuntimeError) as error:
        raise EngineDownError(f"the Ray cluster does not answer: {type(error).__name__}: {error}") from error
