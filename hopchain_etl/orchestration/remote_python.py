"""Runs a stage in another interpreter: the environment with the GPU libraries, which needs no Airflow.

The worker's own process keeps what only it can do: it asks Airflow for the keys behind Connections, hands them over in
the child's environment, passes a stop on and turns the child's exit code into an error. Settings go through stdin.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from hopchain_etl.settings import Settings

_PERMANENT_FAILURE = 3  # exit code: another try would fail alike
_LOOK_SECONDS = 0.5


class RemoteStageError(RuntimeError):
    """The stage failed in the other interpreter; its output is in the task's log."""


def run(python: str, stage: str, shard: str, settings: Settings, stop: threading.Event) -> None:
    """Run a stage over a shard by the interpreter ``python``, whose environment holds this package.

    Raises ValueError where another try would fail alike, and ElsewhereError for any other failure.
    """
    if not Path(python).is_file():
        raise ValueError(
            f"no interpreter at {python}; set HOPCHAIN_PLACEMENT__GPU_PYTHON to one that has hopchain-etl[gpu]"
        )
    portable, keys = _without_connections(settings)
    command = [python, "-m", "hopchain_etl.orchestration.remote_python", stage, shard]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **keys}, text=True)
    assert child.stdin
    with child.stdin as sink:
        sink.write(portable.model_dump_json())
    asked = False
    while child.poll() is None:
        if stop.wait(_LOOK_SECONDS) and not asked:
            child.terminate()
            asked = True
        elif asked:
            child.wait()
    if child.returncode == _PERMANENT_FAILURE:
        raise ValueError(f"{stage} of {shard} failed in {python} for good; its output above says why")
    if child.returncode:
        raise RemoteStageError(
            f"{stage} of {shard} ended in {python} with exit code {child.returncode}; see its output above"
        )


def _without_connections(settings: Settings) -> tuple[Settings, dict[str, str]]:
    """Return settings without the Airflow Connections that stages use, and an environment with their keys."""
    keys: dict[str, str] = {}
    changed: dict[str, object] = {}
    if settings.lake.connection:
        from hopchain_etl.lake.object_store import credentials_from_connection

        keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"] = credentials_from_connection(settings.lake.connection)
        changed["lake"] = settings.lake.model_copy(update={"connection": None})
    for name in ("vlm", "solver"):
        model = getattr(settings, name)
        if model.connection:
            from airflow.sdk import BaseHook

            # A variable of its own: the two models may have different keys.
            variable = f"HOPCHAIN_{name.upper()}_KEY_OF_CONNECTION"
            keys[variable] = BaseHook.get_connection(model.connection).password or ""
            changed[name] = model.model_copy(update={"connection": None, "api_key_env": variable})
    return settings.model_copy(update=changed), keys


def main() -> None:
    """Run the stage and shard of the command line with the settings on stdin."""
    from hopchain_etl.engines.base import TokenCeilingError
    from hopchain_etl.lake.lake import Shard
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.quality.validator import QualityError

    stage, shard = sys.argv[1:]
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    try:
        settings = Settings.model_validate_json(sys.stdin.read())
        Build(settings).run(stage, Shard.parse(shard), stop=stop)
    except (ValueError, QualityError, TokenCeilingError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        sys.exit(_PERMANENT_FAILURE)


if __name__ == "__main__":
    main()
