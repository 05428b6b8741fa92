"""TRL: ``GRPOTrainer(reward_funcs=[accuracy_reward, format_reward], ...)``, weighted by ``reward_weights``.

The trainer passes the dataset columns by name; only ``answer`` is used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hopchain_etl.training_set.rewards import grade, text_of


def accuracy_reward(completions: Sequence[Any], answer: Sequence[str | None], **_: Any) -> list[float | None]:
    """Return 1 for each correct completion, else 0; None (ignored by TRL) if a row has no answer."""
    pairs = zip(completions, answer, strict=True)
    return [None if right is None else float(grade(text_of(one), right).correct) for one, right in pairs]


def format_reward(completions: Sequence[Any], answer: Sequence[str | None], **_: Any) -> list[float | None]:
    """Return 1 for each completion that declares a number (correct or not), else 0; None as in ``accuracy_reward``."""
    pairs = zip(completions, answer, strict=True)
    return [None if right is None else float(grade(text_of(one), right).well_formed) for one, right in pairs]
