"""verl: ``compute_score`` as ``reward.custom_reward_function``, path ``pkg://hopchain_etl.training_set.rewards.verl``."""

from __future__ import annotations

from typing import Any

from hopchain_etl.training_set.rewards import grade


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, Any] | None = None,
    format_weight: float = 0.0,
    **_: Any,
) -> dict[str, float]:
    """Return ``score`` (the reward), and ``acc`` and ``format``, which verl logs as well.

    ``format_weight`` comes from ``reward.custom_reward_function.reward_kwargs``. Raises ValueError if
    ``ground_truth`` is not an exact number.
    """
    graded = grade(solution_str, ground_truth)
    return {"score": graded.reward(format_weight), "acc": float(graded.correct), "format": float(graded.well_formed)}
