"""The small JSON documents beside the rows of a release: what a user is told of one that is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from hopchain_etl.errors import ReportedError

D = TypeVar("D", bound=dict[str, object] | list[object])

_RESTORE = "restore it from an earlier commit of the registry"


class DamagedDocumentError(ReportedError):
    """A document is damaged; the message names it and the remedy."""


def parsed(data: str | bytes, kind: type[D], name: str | Path, remedy: str = _RESTORE) -> D:
    """Return the document ``name``, a dict or a list; raise DamagedDocumentError if it is damaged."""
    try:
        found = json.loads(data)
    except ValueError as error:  # also of bytes that are not UTF-8
        raise DamagedDocumentError(f"{name} is damaged, it is not JSON: {error}; {remedy}") from error
    if not isinstance(found, kind):
        raise DamagedDocumentError(f"{name} is damaged, it holds no {kind.__name__}; {remedy}")
    return found
