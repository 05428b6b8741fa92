"""Runs a stage over shards in another interpreter: the environment with the GPU libraries, which needs no Airflow.

The worker's own process does the Airflow part: it reads the credentials of Connections, passes them in the child's
environment (those of a role by a server that renews them), forwards a stop signal and converts the child's exit code to
an error. Settings are passed through stdin. The child tells through a pipe how many requests to model servers it waits
for, because only the worker's process can send metrics.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from hopchain_etl.engines.base import TokenCeilingError
from hopchain_etl.engines.in_flight import requests_in_flight
from hopchain_etl.engines.vlm.connection import api_key
from hopchain_etl.lake.child_credentials import child_access
from hopchain_etl.settings import Settings
from hopchain_etl.stages.logged_progress import LoggedProgress, as_text

_PERMANENT_FAILURE = 3  # exit code for a permanent failure (a retry would fail in the same way)
_CEILING_REACHED = 5  # exit code if the run has spent its model tokens
_NOTHING_READY = 4  # exit code if the stage above has completed none of the shards
_RETRY_QUARANTINED = "--retry-quarantined"
_REQUESTS_TO = "--requests-to"
_POLL_SECONDS = 0.5


class RemoteStageError(RuntimeError):
    """The stage failed in the other interpreter; its output is in the task's log."""


def run(
    python: str,
    stage: str,
    shards: Sequence[str],
    settings: Settings,
    stop: threading.Event,
    *,
    retry_quarantined: bool = False,
    hear_requests: Callable[[int], object] = lambda number: None,
) -> bool:
    """Run a stage over shards with the interpreter ``python``, whose environment contains this package.

    ``hear_requests`` is called in another thread with the number of the child's requests in flight, at each line of its
    progress. Returns whether any shard was ready. Raises ValueError for a permanent failure, TokenCeilingError if the
    run has spent its tokens, and RemoteStageError for any other failure; the shards that did not fail are done.
    """
    if not Path(python).is_file():
        raise ValueError(
            f"no interpreter at {python}; set HOPCHAIN_PLACEMENT__GPU_PYTHON to one that has hopchain-etl[gpu]"
        )
    flags = [_RETRY_QUARANTINED] if retry_quarantined else []
    with child_access(settings.lake) as (lake, env), _heard(hear_requests) as pipe:
        command = [python, "-m", "hopchain_etl.orchestration.remote_python", *flags, f"{_REQUESTS_TO}={pipe}"]
        portable, keys = _without_connections(settings.model_copy(update={"lake": lake}))
        child = subprocess.Popen(
            [*command, stage, *shards], stdin=subprocess.PIPE, env={**env, **keys}, pass_fds=(pipe,), text=True
        )
        assert child.stdin
        with child.stdin as sink:
            sink.write(portable.model_dump_json())
        terminated = False
        while child.poll() is None:
            if stop.wait(_POLL_SECONDS) and not terminated:
                child.terminate()
                terminated = True
            elif terminated:
                child.wait()
    what = f"{stage} of {shards[0]}" + (f" and {len(shards) - 1} more shards" if len(shards) > 1 else "")
    if child.returncode == _PERMANENT_FAILURE:
        raise ValueError(f"{what} failed permanently in {python}; its output above names the shards")
    if child.returncode == _CEILING_REACHED:
        raise TokenCeilingError(f"{what}: the run has spent its model tokens (HOPCHAIN_ENGINES__TOKEN_CEILING)")
    if child.returncode not in (0, _NOTHING_READY):
        raise RemoteStageError(
            f"{what} failed in {python} with exit code {child.returncode}; its output above names the shards"
        )
    return child.returncode != _NOTHING_READY


@contextmanager
def _heard(hear: Callable[[int], object]) -> Iterator[int]:
    """Yield the end of a pipe for a child; call ``hear`` with each number that it writes, a line each."""
    reading, writing = os.pipe()

    def listen() -> None:
        with open(reading, encoding="ascii") as lines:  # noqa: PTH123 - a pipe has no path
            for line in lines:
                hear(int(line))

    listener = threading.Thread(target=listen, name="requests-of-child", daemon=True)
    listener.start()
    try:
        yield writing
    finally:
        os.close(writing)
        listener.join(_POLL_SECONDS)  # the lines end with the child; a process that it left behind may hold the pipe


def _tell_requests(pipe: int | None) -> Callable[..., None]:
    """Return a ``tell`` (see ``LoggedProgress``) that also writes the number of requests in flight into the pipe."""

    def tell(event: str, **fields: Any) -> None:
        as_text(event, **fields)
        if pipe is not None:
            with suppress(BrokenPipeError):  # the worker's process was killed; this one is about to stop
                os.write(pipe, f"{requests_in_flight()}\n".encode("ascii"))

    return tell


def _stop_without(pipe: int, stop: threading.Event) -> None:
    """Set ``stop`` once nobody reads from the pipe any more: the worker's process was killed.

    Airflow then tries the task again, and this process would hold the GPU beside that try, until all shards are done.
    """

    def wait() -> None:
        ended = select.poll()
        ended.register(pipe, 0)  # nothing but that its other end was closed
        ended.poll()
        stop.set()

    threading.Thread(target=wait, name="end-of-parent", daemon=True).start()


def _without_connections(settings: Settings) -> tuple[Settings, dict[str, str]]:
    """Return settings without Airflow Connections, and environment variables with the keys of the models."""
    keys: dict[str, str] = {}
    changed: dict[str, object] = {}
    for name in ("vlm", "solver"):
        model = getattr(settings, name)
        if model.connection:
            # Use a separate variable per model, because they may have different keys.
            variable = f"HOPCHAIN_{name.upper()}_KEY_OF_CONNECTION"
            keys[variable] = api_key(model) or ""
            changed[name] = model.model_copy(update={"connection": None, "api_key_env": variable})
    return settings.without_s3_connections().model_copy(update=changed), keys


def main() -> None:
    """Run the stage and shards of the command line with the settings on stdin."""
    from hopchain_etl.lake.lake import Shard
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.pipeline.shard_errors import ShardsRejectedError

    # Airflow logs what is printed as INFO, and what comes on stderr as ERROR.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stdout)
    logging.getLogger("hopchain_etl").setLevel(logging.INFO)
    parser = argparse.ArgumentParser()
    parser.add_argument(_RETRY_QUARANTINED, action="store_true")
    parser.add_argument(_REQUESTS_TO, type=int)
    parser.add_argument("stage")
    parser.add_argument("shards", nargs="+")
    asked = parser.parse_args()
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    if asked.requests_to is not None:
        _stop_without(asked.requests_to, stop)
    try:
        settings = Settings.model_validate_json(sys.stdin.read())
        build = Build(settings, retry_quarantined=asked.retry_quarantined)
        shards = [Shard.parse(shard) for shard in asked.shards]
        with LoggedProgress(_tell_requests(asked.requests_to)) as progress:
            ready = build.run_each(asked.stage, shards, progress=progress, stop=stop)
    except TokenCeilingError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        sys.exit(_CEILING_REACHED)
    except (ValueError, ShardsRejectedError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        sys.exit(_PERMANENT_FAILURE)
    if not ready:
        sys.exit(_NOTHING_READY)


if __name__ == "__main__":
    main()
