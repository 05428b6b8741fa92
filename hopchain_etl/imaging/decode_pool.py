"""Decodes images in separate processes, so that an image that crashes the decoder costs only its own row.

A segfault, a decompression bomb or an endless loop loses only the image that caused it and one second for a new worker;
other images in flight are not affected. ``ProcessPoolExecutor`` breaks the whole pool when one process dies, so this
pool is used instead: one thread per worker process, connected by a socket that carries bytes and JSON. No pickle,
because a worker that has read a malicious file cannot be trusted.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from hopchain_etl.imaging.normalise import NormalisedImage, normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason

Decoder = Callable[[bytes, Limits], NormalisedImage]

_START_SECONDS = 120.0  # importing numpy on a busy machine
_ALARM_MARGIN = 2.0  # seconds past the timeout after which a worker that was not stopped ends itself


class DecodeWorkerError(Exception):
    """A worker did not start, or the decode function has a bug. The image itself was not judged."""


class DecoderBugError(DecodeWorkerError):
    """The decode function has a bug; it will fail on the same image again."""


class DecodePool:
    """A fixed number of worker processes that run ``function`` (a module's top-level function) on images.

    ``timeout`` is in seconds for each image, ``memory`` in bytes of address space for each worker.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits,
        *,
        timeout: float = 60.0,
        memory: int = 4 << 30,
        function: Decoder = normalise,
    ) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[NormalisedImage], bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        slots = [_Slot(function, limits, timeout, memory) for _ in range(workers)]
        self._threads = [threading.Thread(target=slot.run, args=(self._jobs,), daemon=True) for slot in slots]
        for thread in self._threads:
            thread.start()

    def submit(self, data: bytes) -> Future[NormalisedImage]:
        """Return a future of the picture; it may raise ImageRejectedError or DecodeWorkerError.

        The queue has no limit: submit only as many images at a time as fit in memory. A worker that dies is given the
        image once more, because the kernel may have killed it for another process's memory use; an image that kills two
        workers is rejected as decoder_crashed. Raises RuntimeError once the pool is closed.
        """
        future: Future[NormalisedImage] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the decode pool is closed")
            self._jobs.put((future, data))
        return future

    def close(self, *, cancel: bool = False) -> None:
        """Wait for all submitted images (with ``cancel``: only for those being decoded) and end the workers."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if cancel:
                    self._cancel_waiting()
                for _ in self._threads:
                    self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _cancel_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while job := self._jobs.get_nowait():
                job[0].cancel()

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close(cancel=kind is not None)


class _Slot:
    """One slot of the pool: a thread that keeps a worker process alive and sends it images."""

    def __init__(self, function: Decoder, limits: Limits, timeout: float, memory: int) -> None:
        self._start = partial(_Worker, function, limits, timeout, memory)
        self._timeout = timeout
        self._worker: _Worker | None = None

    def run(self, jobs: queue.SimpleQueue[tuple[Future[NormalisedImage], bytes] | None]) -> None:
        while job := jobs.get():
            future, data = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._decode(data))
                except BaseException as error:  # noqa: BLE001 - pass any exception to the owner of the future
                    future.set_exception(error)
            del job, future, data  # an idle slot must not keep a photo in memory
        if self._worker:
            self._worker.stop()

    def _decode(self, data: bytes) -> NormalisedImage:
        deaths: list[str] = []
        while len(deaths) < 2:
            if not self._worker or not self._worker.alive():
                self._worker = self._start()
            try:
                return self._worker.decode(data)
            except TimeoutError:
                self._worker.kill()
                detail = f"more than {self._timeout:g} s"
                raise ImageRejectedError(RejectReason.DECODER_TIMEOUT, detail) from None
            except (EOFError, OSError):
                deaths.append(self._worker.kill())
        raise ImageRejectedError(RejectReason.DECODER_CRASHED, f"the decoder died twice: {', '.join(deaths)}")


class _Worker:
    """The parent's side of a worker process.

    A plain subprocess and not ``multiprocessing.Process``, which would import the parent's main module (all of Airflow)
    into each worker and is forbidden in daemonic processes (a Celery task).
    """

    def __init__(self, function: Decoder, limits: Limits, timeout: float, memory: int) -> None:
        self._timeout = timeout
        self._connection, theirs = multiprocessing.Pipe()
        name = f"{function.__module__}:{function.__qualname__}"
        task = [str(theirs.fileno()), name, json.dumps(asdict(limits)), str(timeout + _ALARM_MARGIN), str(memory)]
        # One thread per worker, because the pool itself is parallel.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-m", __name__, *task],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **threads, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
            )
        try:
            ready = self._connection.poll(_START_SECONDS) and self._connection.recv_bytes()
        except (EOFError, OSError):
            ready = False
        if not ready:
            raise DecodeWorkerError(f"the decode worker for {name} did not start: {self.kill()}; see standard error")

    def alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, data: bytes) -> NormalisedImage:
        """Return the picture. Raises TimeoutError, EOFError or OSError if the worker must be replaced."""
        self._connection.send_bytes(data)
        if not self._connection.poll(self._timeout):
            raise TimeoutError
        reply = json.loads(self._connection.recv_bytes())
        blob = self._connection.recv_bytes()
        if "rejected" in reply:
            reason, detail = reply["rejected"]
            raise ImageRejectedError(RejectReason(reason), detail)
        if "bug" in reply:
            raise DecoderBugError(reply["bug"])
        return NormalisedImage(blob=blob or data, **reply["fields"])

    def kill(self) -> str:
        """Kill the worker; return a description of how it ended."""
        self._process.kill()
        return self.stop()

    def stop(self) -> str:
        """Close the connection, which ends an idle worker; return a description of how it ended."""
        self._connection.close()
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


# The worker's side


def serve(descriptor: int, function: Decoder, limits: Limits, alarm: float, memory: int) -> None:
    """Process images from the socket until its other end is closed (by ``close`` or because the parent died).

    ``alarm``, in seconds for each image, stops a worker that hangs after its parent died.
    """
    _confine(memory)
    connection = Connection(descriptor)
    connection.send_bytes(b"ready")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # native decoders print a line for each broken file, which would fill task logs
    with connection, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            data = connection.recv_bytes()
            signal.setitimer(signal.ITIMER_REAL, alarm)
            reply, blob = _answer(function, data, limits)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send_bytes(json.dumps(reply).encode())
            connection.send_bytes(blob)
            del data, reply, blob


def _answer(function: Decoder, data: bytes, limits: Limits) -> tuple[dict[str, Any], bytes]:
    """Return the reply and the blob, which is empty if it equals ``data``."""
    try:
        result = function(data, limits)
    except ImageRejectedError as error:
        return {"rejected": [error.reason, error.detail]}, b""
    except MemoryError:
        return {"rejected": [RejectReason.DECODER_CRASHED, "out of memory"]}, b""
    except Exception:  # noqa: BLE001 - it is raised again in the parent
        return {"bug": traceback.format_exc()}, b""
    fields = {name: value for name, value in vars(result).items() if name != "blob"}
    return {"fields": fields}, b"" if result.blob == data else result.blob


def _confine(memory: int) -> None:
    """Limit the address space, write no core files, leave stops to the parent, be killed first when memory runs out.

    Ctrl-C, and SIGTERM of Airflow or systemd, reach all processes: the parent ends workers after the images at hand.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("1000")


def _main() -> None:
    descriptor, name, limits, alarm, memory = sys.argv[1:]
    module, attribute = name.split(":")
    function: Decoder = getattr(importlib.import_module(module), attribute)
    serve(int(descriptor), function, Limits(**json.loads(limits)), float(alarm), int(memory))


if __name__ == "__main__":
    _main()
