"""Runs in the lake: ``evaluations/<name>/`` with the same two files as in a folder; the header last, and read first."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hopchain_etl.evaluation.answers import ANSWERS_FILE, HEADER_FILE, EvaluationError, EvaluationRun
from hopchain_etl.lake.lake import Lake, key_part
from hopchain_etl.lake.object_store import MissingObjectError

PREFIX = "evaluations/"


def store(lake: Lake, run: EvaluationRun) -> str:
    """Write a run under its name, in place of an older one, and return its prefix."""
    prefix = _prefix(run.header.name)
    with tempfile.TemporaryDirectory() as folder:
        run.write(Path(folder))
        lake.store.delete([prefix + HEADER_FILE])
        for name in (ANSWERS_FILE, HEADER_FILE):
            lake.store.put(prefix + name, (Path(folder) / name).read_bytes())
    return prefix


def names(lake: Lake) -> list[str]:
    """Return the names of all runs that are in the lake, as parts of keys."""
    return sorted(name for name in lake.store.list_folders(PREFIX) if lake.store.exists(_prefix(name) + HEADER_FILE))


def fetch(lake: Lake, name: str, folder: Path) -> EvaluationRun:
    """Copy a run to a folder and return it; raise EvaluationError if there is none of this name."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for file in (ANSWERS_FILE, HEADER_FILE):
            (folder / file).write_bytes(lake.store.get(_prefix(name) + file))
    except MissingObjectError as error:
        known = ", ".join(names(lake)) or "none"
        raise EvaluationError(f"no run {name!r} in the lake; there are: {known}") from error
    return EvaluationRun.read(folder)


def _prefix(name: str) -> str:
    return f"{PREFIX}{key_part(name)}/"
