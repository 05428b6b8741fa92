"""DVC and the stages of ``dvc.yaml`` in the process of a test: to start them takes most of the time of a small publish.

``test_registry.py`` has tests that publish as ever, in processes of their own, and so do the tests of DAGs.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.release import git

Outcome = tuple[int, str, str]


def run_dvc_in_process(patch: pytest.MonkeyPatch) -> None:
    """Let publishes of this test call DVC, which calls the stages; git runs as a process as before."""
    import dvc.stage.run

    start_process = git._waited_for

    def start(name: str, command: list[str], folder: Path, env: Mapping[str, str]) -> Outcome:
        if command[:3] != [sys.executable, "-m", "dvc"]:
            return start_process(name, command, folder, env)
        return _dvc(command[3:], folder, env)

    patch.setattr(git, "_waited_for", start)
    patch.setattr(dvc.stage.run, "_run", _stage)


def _dvc(args: list[str], folder: Path, env: Mapping[str, str]) -> Outcome:
    from dvc.cli import main
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()  # it knows keys and listings of the call before
    out, err = io.StringIO(), io.StringIO()
    with _as_if_in(folder, env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    return code, out.getvalue(), err.getvalue()


def _stage(executable: str, cmd: str, *, cwd: str, env: Mapping[str, str], **_: Any) -> None:
    """Run a stage's command; stands for ``dvc.stage.run._run``."""
    from hopchain_etl.cli import app

    program, *args = shlex.split(cmd)
    assert program == "hopchain"
    with _as_if_in(Path(cwd), env):
        app(args, standalone_mode=False)


@contextlib.contextmanager
def _as_if_in(folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    with contextlib.chdir(folder):
        os.environ.clear()
        os.environ.update(env)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
