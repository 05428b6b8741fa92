"""What a look at one thing found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What was looked at and how it is: ``ok``, ``warning`` (works, but look), or ``missing`` with a ``remedy``."""

    what: str
    state: Literal["ok", "warning", "missing"]
    detail: str
    remedy: str = ""
