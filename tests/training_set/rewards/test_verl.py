"""verl's adapter sends each row to the reward of its data source, and says what is wrong at the first answer."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import Any

import pytest

from hopchain_etl.training_set.rewards.others import forget_ungraded, ungraded_answers
from hopchain_etl.training_set.rewards.verl import compute_score

HOPS = [{"value": None}, {"value": "7"}, {"value": '"red"'}]
TEXT = "Step 2: the number is 7.\nStep 3: it is blue\nSo \\boxed{24}"


def test_other_data_goes_to_the_reward_that_is_named() -> None:
    others = "support.other_rewards:choice"
    scored = compute_score("geometry3k", "(A)", "A", extra_info=None, others=others, reward_router_address="x")
    assert scored == {"score": 1.0, "acc": 1.0, "format": 0.0}
    assert compute_score("geometry3k", "(A)", "B", others=others)["score"] == 0.0
    assert compute_score("hopchain/default", "\\boxed{7}", "7", others=others)["score"] == 1.0
    assert compute_score("b", "", "", others="support.other_rewards:half") == {"score": 0.5, "acc": 0.5, "format": 0.0}


def test_other_data_gets_verls_own_reward_without_a_name(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def default_compute_score(data_source: str, **row: Any) -> float:
        if data_source == "unknown":
            raise NotImplementedError(f"Reward function is not implemented for {data_source=}")
        if data_source == "geometry3k":
            raise ModuleNotFoundError("No module named 'mathruler'")
        if data_source == "math_dapo":
            return float(row["ground_truth"].strip() == row["solution_str"])
        return float(row["ground_truth"] == row["solution_str"])

    module = ModuleType("verl.utils.reward_score")
    module.default_compute_score = default_compute_score  # type: ignore[attr-defined]
    for name, one in (
        ("verl", ModuleType("verl")),
        ("verl.utils", ModuleType("verl.utils")),
        (module.__name__, module),
    ):
        monkeypatch.setitem(sys.modules, name, one)
    forget_ungraded()
    assert compute_score("gsm8k", "A", "A")["score"] == 1.0
    with caplog.at_level(logging.WARNING):
        assert [compute_score("unknown", "A", "A")["score"] for _ in range(2)] == [0.0, 0.0]
        assert compute_score("geometry3k", "A", "A")["score"] == 0.0
        assert [compute_score("math_dapo", "A", gold)["score"] for gold in (None, 7, "A")] == [0.0, 0.0, 1.0]
    assert ungraded_answers() == 5
    told, lacking, failing = caplog.messages  # once, not for every answer
    assert "math_dapo: verl's own reward fails: AttributeError" in failing
    assert "mathruler" in lacking
    assert "others=" in told
    assert "unknown" in told


NO_REWARDS = ["nowhere", "nowhere:score", ":", "support:", "a b:c", "support.other_rewards:none",
              "support.other_rewards:NO_FUNCTION", "support.other_rewards:later"]  # fmt: skip


@pytest.mark.parametrize("name", NO_REWARDS)
def test_a_wrong_name_is_an_error_at_the_first_answer_of_any_data(name: str) -> None:
    with pytest.raises(ValueError, match="others="):
        compute_score("hopchain/default", "", "7", others=name)


def test_a_wrong_answer_of_our_own_is_worth_nothing_and_told_once(caplog: Any) -> None:
    forget_ungraded()
    with caplog.at_level(logging.WARNING):
        assert [compute_score("hopchain/x", "\\boxed{7}", gold)["score"] for gold in "ABC"] == [0.0] * 3
    assert len(caplog.messages) == 1
    row = {"solution_str": TEXT, "ground_truth": "A", "extra_info": {"hops": HOPS}}
    assert set(compute_score("hopchain/x", **row, process_weight=0.5).values()) == {0.0}


def test_the_process_counts_only_where_it_is_asked_for() -> None:
    row = {"data_source": "hopchain/x", "solution_str": TEXT, "ground_truth": "24", "extra_info": {"hops": HOPS}}
    assert compute_score(**row) == {"score": 1.0, "acc": 1.0, "format": 1.0}
    assert compute_score(**row, process_weight=0.2) == {"score": 0.9, "acc": 1.0, "format": 1.0, "process": 0.5}
    assert compute_score(**{**row, "extra_info": {"hops": None}}, process_weight=0.2)["score"] == 1.0
    assert compute_score(**{**row, "ground_truth": "25"}, process_weight=0.2)["score"] == pytest.approx(0.1)
