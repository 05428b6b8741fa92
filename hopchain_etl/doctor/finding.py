"""Finding: the result of one check of ``hopchain doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of a check: ``ok``, ``warning`` (works, but should be reviewed), or ``missing`` with a ``remedy``."""

    what: str
    state: Literal["ok", "warning", "missing"]
    detail: str
    remedy: str = ""
