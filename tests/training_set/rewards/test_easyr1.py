"""EasyR1's adapter tells rows apart by their ground truth, and keeps their order."""

from __future__ import annotations

import logging

import pytest

from hopchain_etl.training_set.rewards.easyr1 import KEYS, compute_score
from hopchain_etl.training_set.rewards.others import forget_ungraded, ungraded_answers

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


def test_other_rows_without_an_accuracy_have_that_of_their_result() -> None:
    """Else online filtering, which goes by the accuracy, would drop every group of theirs."""
    scored = compute_score(BATCH, others="support.other_rewards:plain")
    assert [one["accuracy"] for one in scored] == [one["overall"] for one in scored] == [1.0, 1.0, 0.0, 0.0]


def test_what_nobody_grades_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    forget_ungraded()
    with caplog.at_level(logging.WARNING):
        compute_score(BATCH)
        compute_score([{"response": "", "ground_truth": str(number) + " m"} for number in range(5)])
    assert len(caplog.messages) == 1
    assert "others=" in caplog.text
    assert ungraded_answers() == 7


def test_a_wrong_name_is_an_error_at_the_first_batch() -> None:
    with pytest.raises(ValueError, match="others="):
        compute_score(BATCH[1:2], others="nowhere:score")
