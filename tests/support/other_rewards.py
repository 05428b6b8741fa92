"""Rewards of other data in a mixed run, as a user would name them."""

from __future__ import annotations

from typing import Any

NO_FUNCTION = 7


def half(data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Any = None, **_: Any) -> float:
    """A reward that returns a number only."""
    return 0.5


def choice(data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Any = None, **_: Any) -> dict[str, Any]:
    """A reward that returns more than its score."""
    return {"score": float(ground_truth in solution_str), "acc": 1, "pred": solution_str}


def choices(reward_inputs: list[dict[str, Any]]) -> list[dict[str, float]]:
    """A batch reward of EasyR1, which has another key and lacks one."""
    return [
        {"overall": float(one["ground_truth"] in one["response"]), "accuracy": 1.0, "b": 2} for one in reward_inputs
    ]


def plain(reward_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A batch reward of EasyR1 without an accuracy, which its type allows."""
    return [{"overall": float(one["ground_truth"] in one["response"]), "accuracy": None} for one in reward_inputs]


def of_columns(completions: list[Any], data_source: list[str], **_: Any) -> list[float | None]:
    """A reward of TRL for all that is not ours."""
    return [None if source.startswith("hopchain/") else 0.5 for source in data_source]


async def later(**_: Any) -> float:
    """A reward that would have to be awaited."""
    return 1.0
