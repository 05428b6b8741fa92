"""The table of grading passes through every trainer's adapter; none raises on what a mixed run may bring."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.training_set.rewards import easyr1, grade, text_of
from hopchain_etl.training_set.rewards.swift import HopChainAccuracy, HopChainFormat, HopChainProcess, orms
from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward, process_reward
from hopchain_etl.training_set.rewards.verl import compute_score
from support.grading_cases import COMPLETIONS


def conversation(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize(("completion", "answer", "right"), COMPLETIONS)
def test_all_adapters_grade_as_grading_does(completion: str, answer: str, right: bool) -> None:
    scored = compute_score("hopchain/default", completion, answer, extra_info={"index": 0}, reward_router_address=None)
    assert (scored["score"], scored["acc"]) == (float(right), float(right))
    (scored,) = easyr1.compute_score([{"response": completion, "response_length": 9, "ground_truth": answer}])
    assert (scored["overall"], scored["accuracy"]) == (float(right), float(right))
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
    scored = compute_score("hopchain/d", completion, "7", format_weight=0.2)
    assert (scored["score"], scored["format"]) == (reward, formed)
    (scored,) = easyr1.compute_score([{"response": completion, "ground_truth": "7"}], format_weight=0.2)
    assert (scored["overall"], scored["format"]) == (reward, formed)
    assert format_reward(completions=[conversation(completion)], answer=["7"]) == [formed]
    assert HopChainFormat()([completion], answer=["7"]) == [formed]


def test_rows_of_other_data_are_left_to_other_rewards_in_trl_and_swift() -> None:
    columns = {
        "completions": ["\\boxed{7}"] * 5,
        "answer": [None, "7", "A", "7", "many"],
        "data_source": [None, "hopchain/a", "geometry3k", "geometry3k", "hopchain/a"],
    }
    assert accuracy_reward(**columns) == [None, 1.0, None, None, None]
    assert format_reward(**columns) == [None, 1.0, None, None, None]
    assert HopChainAccuracy()(**columns) == [None, 1.0, None, None, None]
    assert HopChainFormat()(**columns) == [None, 1.0, None, None, None]


def test_a_table_without_sources_or_answers_raises_nothing() -> None:
    said = ["\\boxed{7}"] * 3
    assert accuracy_reward(completions=said, answer=["7", "A", None]) == [1.0, None, None]
    assert accuracy_reward(completions=said, solution=["7"] * 3) == [None] * 3
    assert HopChainAccuracy()(said, solution=["7"] * 3) == [None] * 3
    assert process_reward(completions=said, answer=["7"] * 3) == [None] * 3


def test_a_list_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError):
        accuracy_reward(completions=["\\boxed{7}"], answer=["7", "8"])
    with pytest.raises(ValueError):
        HopChainAccuracy()(["\\boxed{7}"], answer=[])


@pytest.mark.parametrize("odd", [None, 7, [], [7], {"content": "7"}, [{"role": "assistant"}], [{"content": [None]}]])
def test_what_has_no_text_is_an_empty_completion(odd: object) -> None:
    assert text_of(odd) == ""


def test_parts_without_text_are_passed_over() -> None:
    parts = [{"type": "text", "text": None}, {"type": "image"}, "a", {"type": "text", "text": "\\boxed{7}"}]
    assert text_of([{"role": "assistant", "content": parts}]) == "\\boxed{7}"
    assert text_of([{"role": "assistant", "content": None}]) == ""
    assert accuracy_reward(completions=[[{"content": parts}], [{"content": parts[:1]}]], answer=["7", "7"]) == [1, 0]


TEXTS = st.text() | st.sampled_from(["\\boxed{7}", "\\boxed{", "<answer>7</answer>", "Step 1: is 7"])
PARTS = st.fixed_dictionaries({"type": st.sampled_from(["text", "image"])}, optional={"text": st.none() | TEXTS})
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant")}, optional={"content": st.none() | TEXTS | st.lists(PARTS)}
)
SAID = st.none() | st.integers() | TEXTS | st.lists(MESSAGES | st.none(), max_size=2)
ANSWERS = (
    st.none() | st.integers() | st.sampled_from(["7", "-0.5", "1/0", "A", "7\n", "٧"]) | st.text() | st.lists(TEXTS)
)
SOURCES = st.none() | st.integers() | st.sampled_from(["hopchain/default", "geometry3k", "hopchain"])
HOPS = st.none() | st.text() | st.lists(st.none() | st.fixed_dictionaries({"value": st.none() | st.integers() | TEXTS}))


@given(st.lists(st.tuples(SAID, ANSWERS, SOURCES, HOPS), max_size=4), st.booleans())
def test_nothing_that_a_mixed_run_may_bring_makes_an_adapter_raise(rows: list[Any], has_sources: bool) -> None:
    said, right, sources, hops = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    columns = {"answer": right, "hops": hops, **({"data_source": sources} if has_sources else {})}
    for reward in (accuracy_reward, format_reward, process_reward):
        assert all(one is None or 0 <= one <= 1 for one in reward(completions=said, prompts=[], **columns))
    for made in (HopChainAccuracy, HopChainFormat, HopChainProcess):
        assert all(one is None or 0 <= one <= 1 for one in made()(said, trainer_state=None, **columns))
    scored = easyr1.compute_score([{"response": a, "ground_truth": b} for a, b, *_ in rows], format_weight=0.1)
    assert all(set(one) == set(easyr1.KEYS) and 0 <= min(one.values()) <= max(one.values()) <= 1 for one in scored)
    keys = set()
    for text, answer, source, steps in rows:
        given_ = {"data_source": source, "ground_truth": answer, "extra_info": {"hops": steps}}
        one = compute_score(solution_str=text, **given_, process_weight=0.5, others="support.other_rewards:half")
        assert 0 <= one["score"] <= 1
        keys.add(frozenset(one))
    assert len(keys) <= 1  # verl's agent loop raises KeyError where rows of a batch have other keys


def test_all_are_registered_where_the_plugin_looks() -> None:
    assert orms == {
        "hopchain_accuracy": HopChainAccuracy, "hopchain_format": HopChainFormat, "hopchain_process": HopChainProcess,
    }  # fmt: skip


def test_only_the_standard_library_is_loaded() -> None:
    code = (
        "import sys\nbefore = {m.split('.')[0] for m in sys.modules}\n"
        "from hopchain_etl.training_set.rewards import easyr1, process, swift, trl, verl\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} - before - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hopchain_etl"]
