"""Each alarm sounds for the run that it is about, and none for a run that goes well."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.training.watch.alarms import alarms
from hopchain_etl.training.watch.metrics import COLUMNS, Values
from hopchain_etl.training.watch.rollouts import Completion, Rollouts, count
from hopchain_etl.training.watch.run import Run, Step

STEPS = 60


def good(at: float, noise: random.Random) -> Values:
    """Return a step of a run that learns; ``at`` is 0 to 1."""
    right = 0.3 + 0.3 * at + noise.gauss(0, 0.02)
    return {
        "reward": right, "accuracy": right, "format": 0.97, "length": 700 + 200 * at, "clipped": 0.02,
        "zero_variance": 0.3, "clip_ratio": 0.01, "entropy": 0.9 - 0.3 * at, "kl": 0.05 * at,
        "kl_step": 0.002 + noise.random() / 1000, "loss": noise.gauss(0, 0.1), "grad_norm": 0.4,
    }  # fmt: skip


def run(
    change: Callable[[float], Values] = lambda at: {}, rollouts: Callable[[int], Rollouts | None] = lambda n: None
) -> Run:
    noise = random.Random(5)
    steps = [Step(n, good(n / STEPS, noise) | change(n / STEPS), rollouts(n)) for n in range(1, STEPS + 1)]
    return Run(steps, ["verl"], [])


def answers(constant: float, *, of: int = 8, seed: int = 0) -> Callable[[int], Rollouts]:
    """Return completions that say 3 in a share of cases, and else what is right; 3 is, for a sixth of prompts."""

    def made(step: int) -> Rollouts:
        noise = random.Random(f"{seed} {step}")
        some = []
        for group in range(of):
            gold = str(noise.randint(1, 6))
            for _ in range(4):
                said = "3" if noise.random() < constant else gold
                some.append(Completion("", f"\\boxed{{{said}}}", (1.0,), group=str(group), answer=gold))
        return count(some, None)

    return made


def names(run: Run) -> set[str]:
    return {alarm.name for alarm in alarms(run)}


def test_a_run_that_learns_has_no_alarm() -> None:
    assert names(run(rollouts=answers(0.05))) == set()


BAD: dict[str, Callable[[float], Values]] = {
    "length_collapse": lambda at: {"length": 900 - 600 * at},
    "format_without_accuracy": lambda at: {"format": 0.3 + 0.6 * at, "accuracy": 0.3, "reward": 0.3 + 0.05 * at},
    "reward_without_accuracy": lambda at: {"accuracy": 0.3},
    "zero_variance": lambda at: {"zero_variance": 0.3 + 0.5 * at},
    "entropy_collapse": lambda at: {"entropy": 0.9 * math.exp(-4 * at)},
    "kl_blowup": lambda at: {"kl": 0.02 if at < 0.95 else 3.0},
    "clipped_responses": lambda at: {"clipped": 0.4 * at},
    "reward_flat": lambda at: {"reward": 0.31, "accuracy": 0.31},
    "not_finite": lambda at: {"loss": math.nan} if at > 0.9 else {},
}


@pytest.mark.parametrize("name", BAD)
def test_each_alarm_sounds_alone(name: str) -> None:
    found = alarms(run(BAD[name]))
    assert [alarm.name for alarm in found] == [name]
    (alarm,) = found
    assert any(letter.isdigit() for letter in alarm.figures)
    assert alarm.remedy.endswith(".")
    assert 1 <= alarm.since <= STEPS


def test_a_step_that_changes_the_model_too_much_is_a_kl_alarm_too() -> None:
    (alarm,) = alarms(run(lambda at: {"kl_step": 0.4} if at > 0.98 else {}))
    assert (alarm.name, alarm.since) == ("kl_blowup", 59)
    assert "0.400 in step 59" in alarm.figures


def test_a_constant_answer_is_named_with_both_shares() -> None:
    (alarm,) = alarms(run(rollouts=answers(0.7)))
    assert alarm.name == "constant_answers"
    assert alarm.title.endswith(": 3")
    assert "% of 480 completions, and right for" in alarm.figures


def test_an_answer_that_is_right_as_often_is_no_alarm() -> None:
    def made(step: int) -> Rollouts:
        some = [Completion("", "\\boxed{3}", (1.0,), group=str(group), answer="3") for group in range(30)]
        return count(some, None)

    assert names(run(rollouts=made)) == set()


def test_few_prompts_decide_nothing_about_answers() -> None:
    some = [Completion("", "\\boxed{3}", (0.0,), group=str(at // 8), answer=str(at // 8)) for at in range(80)]
    assert names(Run([Step(1, {}, count(some, None))], [], [])) == set()


def test_zero_variance_says_whether_the_questions_are_too_hard_or_too_easy() -> None:
    (hard,) = alarms(run(lambda at: {"zero_variance": 0.8}))
    assert "too easy" in hard.remedy  # the run that learns ends above a half
    (easy,) = alarms(run(lambda at: {"zero_variance": 0.8, "accuracy": 0.05 + 0.1 * at, "reward": 0.05 + 0.1 * at}))
    assert "too hard" in easy.remedy


VALUES = st.dictionaries(st.sampled_from(sorted(COLUMNS)), st.floats(allow_infinity=False, width=32), max_size=6)


@given(st.lists(VALUES, max_size=40))
def test_any_figures_give_alarms_and_no_error(some: list[Values]) -> None:
    for alarm in alarms(Run([Step(n, values) for n, values in enumerate(some)], [], [])):
        assert 0 <= alarm.since < len(some)
