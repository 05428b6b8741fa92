"""ms-swift: a file given to ``--external_plugins`` that imports this module; ``--reward_funcs hopchain_accuracy``.

``hopchain_format`` is the second function, weighted by ``--reward_weights``. If ms-swift is not installed, the
classes are plain callables, so that they can be tested and used without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hopchain_etl.training_set.rewards import grade, text_of

try:
    from swift.rewards import ORM, orms  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # there is another package with the name swift
    orms: dict[str, Any] = {}  # type: ignore[no-redef, unused-ignore]

    class ORM:  # type: ignore[no-redef, unused-ignore]
        def __init__(self, args: Any = None, **_: Any) -> None:
            self.args = args


class HopChainAccuracy(ORM):  # type: ignore[misc, unused-ignore]
    """1 for each correct completion, else 0. The column ``answer`` contains the correct answer."""

    def __call__(self, completions: Sequence[Any], answer: Sequence[str], **_: Any) -> list[float]:
        return [float(grade(text_of(one), right).correct) for one, right in zip(completions, answer, strict=True)]


class HopChainFormat(ORM):  # type: ignore[misc, unused-ignore]
    """1 for each completion that declares a number, correct or not, else 0."""

    def __call__(self, completions: Sequence[Any], answer: Sequence[str], **_: Any) -> list[float]:
        return [float(grade(text_of(one), right).well_formed) for one, right in zip(completions, answer, strict=True)]


orms["hopchain_accuracy"] = HopChainAccuracy
orms["hopchain_format"] = HopChainFormat
