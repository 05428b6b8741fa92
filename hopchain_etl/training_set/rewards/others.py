"""Other data in a mixed run: its rewards, named as ``package.module:function``, and answers that none grades."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

logger = logging.getLogger(__name__)
_ungraded: Counter[str] = Counter()  # answers in this process, by the cause that was logged


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


def ungraded(cause: str, message: str) -> None:
    """Count an answer that no reward grades, and log ``message`` the first time that a process comes upon ``cause``.

    ``cause`` is of the data, not of the answer: else a run of a million answers would log a million warnings.
    """
    _ungraded[cause] += 1
    if _ungraded[cause] == 1:
        logger.warning(message)


def ungraded_answers() -> int:
    """Return how many answers no reward has graded in this process, for the check before a run."""
    return _ungraded.total()


def forget_ungraded() -> None:
    """Begin to count and to warn anew."""
    _ungraded.clear()
