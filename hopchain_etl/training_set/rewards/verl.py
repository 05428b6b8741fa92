"""verl: ``compute_score`` as ``reward.custom_reward_function``, path ``pkg://hopchain_etl.training_set.rewards.verl``."""

from __future__ import annotations

from typing import Any

from hopchain_etl.training_set.rewards import grade_any, is_ours
from hopchain_etl.training_set.rewards.others import reward_named, ungraded
from hopchain_etl.training_set.rewards.process import process_score

VERLS_OWN = "verl.utils.reward_score:default_compute_score"


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any] | None = None,
    format_weight: float = 0.0,
    process_weight: float = 0.0,
    others: str | None = None,
    **given: Any,
) -> dict[str, float]:
    """Return ``score`` (the reward), and ``acc`` and ``format``, which verl logs as well.

    Every row has the same keys, whatever its data: verl's agent loop raises KeyError in a batch where keys differ.

    ``format_weight``, ``process_weight`` (0 to 1, the share of ``rewards.process``; needs an export with hops) and
    ``others`` come from ``reward.custom_reward_function.reward_kwargs``. ``others`` names the reward
    (``package.module:function``, called as verl calls one) of rows whose ``data_source`` does not begin with
    ``hopchain/``; without it they get verl's own. Raises ValueError at the first answer if ``others`` cannot be
    imported.
    """
    reward = reward_named(others) if others else None
    if not is_ours(data_source):
        reward = reward or reward_named(VERLS_OWN)
        source = data_source if others else str(data_source)  # verl's own takes a text only
        row = {"data_source": source, "solution_str": solution_str, "ground_truth": ground_truth}
        scored = _scored_by(reward, {**row, "extra_info": extra_info, **given}, is_named=bool(others))
        return dict.fromkeys(_keys(process_weight), 0.0) | scored
    graded = grade_any(solution_str, ground_truth)
    if graded is None:
        told = f"ground truths such as {str(ground_truth)[:80]!r} are not exact numbers; their scores are 0"
        ungraded(data_source, f"{data_source}: {told}")
        return dict.fromkeys(_keys(process_weight), 0.0)
    score = graded.reward(format_weight)
    scored = {"score": score, "acc": float(graded.correct), "format": float(graded.well_formed)}
    if process_weight:
        process = process_score(solution_str, extra_info.get("hops") if isinstance(extra_info, dict) else None)
        scored["process"] = process or 0.0
        if process is not None:  # a row without values counts by its outcome alone
            scored["score"] += process_weight * (process - score)
    return scored


def _keys(process_weight: float) -> tuple[str, ...]:
    return ("score", "acc", "format", *(["process"] if process_weight else []))


def _scored_by(reward: Any, row: dict[str, Any], *, is_named: bool) -> dict[str, float]:
    """Return what another reward gives for a row, under our keys."""
    try:
        result = reward(**row)
    except Exception as error:
        # verl's own: it does not know the data source, needs a package that is not here, or cannot take an answer of
        # this kind (None, a number).
        if is_named:
            raise
        source, kind = row["data_source"], type(error).__name__
        remedy = "Such answers score 0. Name a reward: reward_kwargs.others=package.module:function"
        ungraded(f"{source}: {kind}", f"{source}: verl's own reward fails: {kind}: {error}. {remedy}")
        result = 0.0
    if not isinstance(result, dict):
        result = {"score": result}
    score = float(result["score"])
    return {"score": score, "acc": float(result.get("acc", score)), "format": float(result.get("format", 0.0))}
