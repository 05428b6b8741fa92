"""The table of grading passes through every trainer's adapter, and nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hopchain_etl.training_set.rewards import grade, text_of
from hopchain_etl.training_set.rewards.swift import HopChainAccuracy, HopChainFormat, orms
from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward
from hopchain_etl.training_set.rewards.verl import compute_score
from support.graded_completions import COMPLETIONS


def conversation(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize(("completion", "answer", "right"), COMPLETIONS)
def test_all_three_grade_as_grading_does(completion: str, answer: str, right: bool) -> None:
    scored = compute_score("hopchain/default", completion, answer, extra_info={"index": 0}, reward_router_address=None)
    assert (scored["score"], scored["acc"]) == (float(right), float(right))
    for form in (completion, conversation(completion), conversation([{"type": "text", "text": completion}])):  # type: ignore[arg-type]
        assert accuracy_reward(prompts=[""], completions=[form], completion_ids=[[1]], answer=[answer]) == [right]
        assert HopChainAccuracy()([form], answer=[answer], messages=[[]], trainer_state=None) == [right]


@pytest.mark.parametrize(
    ("completion", "formed", "reward"),
    [("\\boxed{7}", 1, 1.0), ("\\boxed{8}", 1, 0.2), ("7", 0, 0.0), ("\\boxed{no idea}", 0, 0.0), ("", 0, 0.0)],
)
def test_a_wrong_number_in_the_right_place_is_worth_the_format_part(
    completion: str, formed: float, reward: float
) -> None:
    assert grade(completion, "7").reward() == float(reward == 1)
    assert grade(completion, "7").reward(0.2) == reward
    scored = compute_score("d", completion, "7", format_weight=0.2)
    assert (scored["score"], scored["format"]) == (reward, formed)
    assert format_reward(completions=[conversation(completion)], answer=["7"]) == [formed]
    assert HopChainFormat()([completion], answer=["7"]) == [formed]


def test_a_row_without_an_answer_has_no_reward_in_trl_and_is_an_error_elsewhere() -> None:
    assert accuracy_reward(completions=["\\boxed{7}"] * 2, answer=[None, "7"]) == [None, 1.0]
    assert format_reward(completions=["\\boxed{7}"], answer=[None]) == [None]
    with pytest.raises(ValueError, match="many"):
        compute_score("d", "\\boxed{7}", "many")


def test_a_list_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError):
        accuracy_reward(completions=["\\boxed{7}"], answer=["7", "8"])
    with pytest.raises(ValueError):
        HopChainAccuracy()(["\\boxed{7}"], answer=[])


@pytest.mark.parametrize("odd", [None, 7, [], [7], {"content": "7"}])
def test_what_is_no_completion_is_told(odd: object) -> None:
    with pytest.raises(TypeError, match="completion"):
        text_of(odd)


def test_a_message_without_text_is_an_empty_completion() -> None:
    assert text_of([{"role": "assistant", "content": None}]) == ""
    assert text_of([{"role": "assistant"}]) == ""


def test_both_are_registered_where_the_plugin_looks() -> None:
    assert (orms["hopchain_accuracy"], orms["hopchain_format"]) == (HopChainAccuracy, HopChainFormat)


def test_only_the_standard_library_is_loaded() -> None:
    code = (
        "import sys\nbefore = {m.split('.')[0] for m in sys.modules}\n"
        "import hopchain_etl.training_set.rewards.verl, hopchain_etl.training_set.rewards.trl\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} - before - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hopchain_etl"]
