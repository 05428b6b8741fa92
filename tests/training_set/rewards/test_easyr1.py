"""EasyR1's adapter tells rows apart by their ground truth, and keeps their order."""

from __future__ import annotations

import pytest

from hopchain_etl.training_set.rewards.easyr1 import KEYS, compute_score

BATCH = [
    {"response": "\\boxed{A}", "response_length": 3, "ground_truth": "A"},
    {"response": "\\boxed{7}", "response_length": 3, "ground_truth": "7"},
    {"response": "\\boxed{B}", "response_length": 3, "ground_truth": "2 \\sqrt{3}"},
    {"response": "\\boxed{8}", "response_length": 3, "ground_truth": "7"},
]


def test_each_row_gets_the_score_of_its_own_reward_in_order() -> None:
    scored = compute_score(BATCH, format_weight=0.1, others="support.other_rewards:choices")
    assert [one["overall"] for one in scored] == [1.0, 1.0, 0.0, 0.1]
    assert [one["accuracy"] for one in scored] == [1.0, 1.0, 1.0, 0.0]
    assert all(tuple(one) == KEYS for one in scored)


def test_without_a_name_other_rows_are_worth_nothing() -> None:
    assert [one["overall"] for one in compute_score(BATCH)] == [0.0, 1.0, 0.0, 0.0]
    assert compute_score([]) == []


def test_a_wrong_name_is_an_error_at_the_first_batch() -> None:
    with pytest.raises(ValueError, match="others="):
        compute_score(BATCH[1:2], others="nowhere:score")
