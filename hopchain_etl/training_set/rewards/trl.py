"""TRL: ``GRPOTrainer(reward_funcs=[accuracy_reward, format_reward], ...)``, weighted by ``reward_weights``.

The trainer passes the dataset columns by name. Rows of other data in a mixed set get None, which TRL leaves to the
other functions of ``reward_funcs``: their own rewards go into the same list, and return None for ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hopchain_etl.training_set.rewards import grades
from hopchain_etl.training_set.rewards.process import process_scores

Column = Sequence[Any] | None  # None: the table has no such column
Rewards = list[float | None]


def accuracy_reward(completions: Sequence[Any], answer: Column = None, data_source: Column = None, **_: Any) -> Rewards:
    """Return 1 for each correct completion, else 0; None if a row is not ours or has no exact answer."""
    return [None if one is None else float(one.correct) for one in grades(completions, answer, data_source)]


def format_reward(completions: Sequence[Any], answer: Column = None, data_source: Column = None, **_: Any) -> Rewards:
    """Return 1 for each completion that declares a number (correct or not), else 0; None as in ``accuracy_reward``."""
    return [None if one is None else float(one.well_formed) for one in grades(completions, answer, data_source)]


def process_reward(completions: Sequence[Any], hops: Column = None, data_source: Column = None, **_: Any) -> Rewards:
    """Return the share of a row's intermediate values that each completion states right; see ``rewards.process``.

    The column ``hops`` is that of ``hopchain export --with-hops``. None if a row is not ours or has no values.
    """
    return process_scores(completions, hops, data_source)
