"""EasyR1: ``worker.reward.reward_function`` is this file with ``:compute_score``; a batch reward.

EasyR1 gives a reward the response and the ground truth, and no other column. So rows are told apart by their ground
truth: an exact number is graded here, and anything else is other data (a choice, a formula). Other data whose ground
truth is a plain number is therefore graded here too, exactly and in the declared place only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hopchain_etl.training_set.rewards import grade_any
from hopchain_etl.training_set.rewards.others import reward_named, ungraded

REWARD_NAME = "hopchain"
REWARD_TYPE = "batch"
KEYS = ("overall", "format", "accuracy")


def compute_score(
    reward_inputs: Sequence[dict[str, Any]], format_weight: float = 0.0, others: str | None = None
) -> list[dict[str, float]]:
    """Return ``overall`` (the reward), ``format`` and ``accuracy`` of each input, in order.

    ``format_weight`` and ``others`` come from ``worker.reward.reward_function_kwargs``. ``others`` names the batch
    reward (``package.module:function``) of rows whose ground truth is not an exact number; without it their scores are
    0. Raises ValueError at the first batch if ``others`` cannot be imported.
    """
    reward = reward_named(others) if others else None
    graded = [grade_any(one.get("response"), one.get("ground_truth")) for one in reward_inputs]
    foreign = [one for one, found in zip(reward_inputs, graded, strict=True) if found is None]
    for one in foreign if reward is None else ():
        what = str(one.get("ground_truth"))[:80]
        ungraded(
            "EasyR1",
            f"ground truths such as {what!r} are not exact numbers, so their scores are 0; if they are of other data, "
            "name its reward: reward_function_kwargs.others=package.module:function",
        )
    scored = iter(reward(foreign) if foreign and reward else [{}] * len(foreign))
    return [
        dict(zip(KEYS, (one.reward(format_weight), float(one.well_formed), float(one.correct)), strict=True))
        if one is not None
        else _under_our_keys(next(scored))
        for one in graded
    ]


def _under_our_keys(scored: dict[str, Any]) -> dict[str, float]:
    """Return another reward's scores of a row under our keys, so that EasyR1 averages each over all rows.

    Its own result is the accuracy if it states none: online filtering by accuracy would drop all its groups otherwise.
    """
    told = {"accuracy": scored.get("overall")} | {key: value for key, value in scored.items() if value is not None}
    return {key: float(told.get(key) or 0.0) for key in KEYS}
