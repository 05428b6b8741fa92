"""Runs in the lake: ``evaluations/<name>-<digest>/`` with the same two files as in a folder; the header last.

The digest is that of all but the name that a run depends on, so that a run with other sampling, prompt or questions
does not take the place of one of the same name.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path

from hopchain_etl.evaluation.answers import ANSWERS_FILE, HEADER_FILE, EvaluationError, EvaluationRun
from hopchain_etl.lake.lake import Lake, key_part
from hopchain_etl.lake.object_store import MissingObjectError

PREFIX = "evaluations/"


def store(lake: Lake, run: EvaluationRun) -> str:
    """Write a run under its name, in place of one that was asked in the same way; return its prefix."""
    prefix = _prefix(f"{key_part(run.header.name)}-{_digest(run)}")
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
    """Copy a run to a folder and return it; the name may be without its digest.

    Raises EvaluationError if there is no run of this name, or several. The folder is written when all is there.
    """
    prefix = _prefix(_found(lake, name))
    with tempfile.TemporaryDirectory() as place:
        for file in (ANSWERS_FILE, HEADER_FILE):
            try:
                (Path(place) / file).write_bytes(lake.store.get(prefix + file))
            except MissingObjectError as error:
                raise EvaluationError(f"the run {name!r} is being replaced, or was cut off: no {error}") from error
        run = EvaluationRun.read(Path(place))
    run.write(folder)
    return run


def _found(lake: Lake, name: str) -> str:
    known, part = names(lake), key_part(name)
    alike = [part] if part in known else [one for one in known if re.fullmatch(re.escape(part) + "-[0-9a-f]{8}", one)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise EvaluationError(f"{len(alike)} runs in the lake are called {name!r}; choose one: {', '.join(alike)}")
    raise EvaluationError(f"no run {name!r} in the lake; there are: {', '.join(known) or 'none'}")


def _digest(run: EvaluationRun) -> str:
    """Return a name for what a run was measured with: its header, and the variants that the header does not have."""
    header = {name: value for name, value in asdict(run.header).items() if name != "name"}
    told = json.dumps([header, sorted(run.answers["variant"].unique().to_pylist(), key=str)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def _prefix(name: str) -> str:
    return f"{PREFIX}{key_part(name)}/"
