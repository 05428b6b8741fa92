"""JSON lines of a file that a trainer may be writing at this moment, or that a crash has cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LONGEST_HEAD = 200_000  # characters in which the rest of a cut line is looked for


class WatchError(ValueError):
    """A log that cannot be read; the message names the file and, if there is one, the line."""


class NotReadError(WatchError):
    """A file of which nothing can be read, while the run's others can: half of one that is written at once, say."""


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line.

    A last line without its end is a line in the making, and is left out if it is not whole. A run that is killed while
    it writes and then restarted glues the new line to half of the old one: the new one is read. Raises WatchError,
    naming file and line, for anything else that is not a JSON object.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            text = raw.decode("utf-8", errors="replace").strip().strip("\0")
            if not text:
                continue
            found = _parsed(text)
            if found is None and not raw.endswith(b"\n"):
                return
            if found is None:
                found = _after_a_cut(text)
            if found is None:
                raise WatchError(f"{path}, line {number}: not a JSON object: {text[:80]!r}")
            yield number, found


def first_object(path: Path) -> dict[str, Any] | None:
    """Return the first object of a file of JSON lines; None if there is none yet, or the file holds something else."""
    try:
        return next((found for _, found in json_lines(path)), None)
    except WatchError:
        return None


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _after_a_cut(text: str) -> dict[str, Any] | None:
    """Return the object at the end of a line that begins with a part of another object."""
    if not text.startswith("{"):
        return None
    start = text.find('{"', 1)
    while 0 < start < _LONGEST_HEAD:
        found = _parsed(text[start:])
        if found is not None:
            return found
        start = text.find('{"', start + 1)
    return None
