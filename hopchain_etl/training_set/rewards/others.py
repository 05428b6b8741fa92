"""The rewards of other data in a mixed run, named as ``package.module:function``."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

logger = logging.getLogger(__name__)


@lru_cache(maxsize=16)
def reward_named(name: str) -> Callable[..., Any]:
    """Return the function that ``name`` (``package.module:function``) stands for.

    Adapters call it for every answer, of whatever data, so that a wrong name stops a run at its first one. Raises
    ValueError if there is no such function, or if it is asynchronous.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"others={name!r} is not a package.module:function that can be imported: {error}") from error
    if not callable(found):
        raise ValueError(f"others={name!r} is not a function")  # noqa: TRY004 - one error for all
    if inspect.iscoroutinefunction(found):
        raise ValueError(f"others={name!r} is asynchronous; name a function that returns its score")
    reward: Callable[..., Any] = found
    return reward


@lru_cache(maxsize=1_000)
def warn_once(message: str) -> None:
    """Log a warning the first time that a process comes upon ``message``."""
    logger.warning(message)
