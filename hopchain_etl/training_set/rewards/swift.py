"""ms-swift: a file given to ``--external_plugins`` that imports this module; ``--reward_funcs hopchain_accuracy``.

``hopchain_format`` is the second function, ``hopchain_process`` a third, weighted by ``--reward_weights``. Rows of
other data in a mixed set get None, which ms-swift leaves to the other functions, as its page on multi-task training has
it. If ms-swift is not installed, the classes are plain callables, so that they can be tested and used without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hopchain_etl.training_set.rewards import trl

try:
    from swift.rewards import ORM, orms  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # there is another package with the name swift
    orms: dict[str, Any] = {}  # type: ignore[no-redef, unused-ignore]

    class ORM:  # type: ignore[no-redef, unused-ignore]
        def __init__(self, args: Any = None, **_: Any) -> None:
            self.args = args


class HopChainAccuracy(ORM):  # type: ignore[misc, unused-ignore]
    """1 for each correct completion, else 0; None if a row is not ours. The column ``answer`` has the correct one."""

    def __call__(self, completions: Sequence[Any], **columns: Any) -> trl.Rewards:
        return trl.accuracy_reward(completions, **columns)


class HopChainFormat(ORM):  # type: ignore[misc, unused-ignore]
    """1 for each completion that declares a number, correct or not, else 0; None if a row is not ours."""

    def __call__(self, completions: Sequence[Any], **columns: Any) -> trl.Rewards:
        return trl.format_reward(completions, **columns)


class HopChainProcess(ORM):  # type: ignore[misc, unused-ignore]
    """The share of the values in the column ``hops`` that each completion states right; see ``rewards.process``."""

    def __call__(self, completions: Sequence[Any], **columns: Any) -> trl.Rewards:
        return trl.process_reward(completions, **columns)


orms["hopchain_accuracy"] = HopChainAccuracy
orms["hopchain_format"] = HopChainFormat
orms["hopchain_process"] = HopChainProcess
