"""What a look at one thing found, and the stages whose needs are looked at."""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hopchain_etl import stages, wiring


@dataclass(frozen=True)
class Finding:
    """What was looked at and how it is: ``ok``, ``warning`` (works, but look), or ``missing`` with a ``remedy``."""

    what: str
    state: Literal["ok", "warning", "missing"]
    detail: str
    remedy: str = ""


def stage_names() -> Iterator[str]:
    """Yield the stages that declare what they need."""
    for module in pkgutil.iter_modules(stages.__path__):
        with contextlib.suppress(LookupError):
            wiring.resources_of(module.name)
            yield module.name
