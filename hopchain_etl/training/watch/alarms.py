"""Alarms over a run: signs that a model earns reward without getting better, and compute that teaches nothing.

The limits are rules of thumb, except where they are stated as such in a trainer's own documentation; each alarm shows
the figures, so that a person decides. A window is a quarter of the run, at most 20 steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, pstdev
from typing import Any

from hopchain_etl.training.watch.metrics import MUST_BE_FINITE
from hopchain_etl.training.watch.rollouts import NO_ANSWER, Rollouts
from hopchain_etl.training.watch.run import Run, Step


@dataclass(frozen=True)
class Limits:
    """From which figures on there is an alarm. Shares are 0 to 1."""

    few_steps: int = 4  # of fewer steps no share is judged
    trend_steps: int = 8  # of fewer steps no change is judged
    flat_steps: int = 30
    length_fall: float = 0.5  # of the longest window's mean
    constant_excess: float = 0.2  # an answer's share above its share among the right answers
    constant_groups: int = 20  # prompts without which no share of an answer is judged
    rise: float = 0.1  # of format or reward, while accuracy rises by less than ``no_rise``
    no_rise: float = 0.02
    zero_variance: float = 0.5
    clipped: float = 0.1
    entropy_fall: float = 0.25  # of the first window's mean
    kl: float = 0.5  # nats a token, against the reference model
    kl_step: float = 0.05  # nats a token, between the policy that answered and the one that learns
    kl_times: float = 5.0  # above the median so far


@dataclass(frozen=True)
class Alarm:
    """What was seen, since which step, in figures, and what to do about it."""

    name: str
    title: str
    since: int
    figures: str
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """Return the alarm as plain JSON."""
        return asdict(self)


def alarms(run: Run, limits: Limits = Limits()) -> list[Alarm]:
    """Return the alarms of a run, the most serious first."""
    steps = run.trained
    return [alarm for check in _CHECKS for alarm in check(steps, limits)]


def _series(steps: Sequence[Step], column: str) -> list[tuple[int, float]]:
    return [(one.step, one.values[column]) for one in steps if math.isfinite(one.values.get(column, math.nan))]


def _window(count: int) -> int:
    return max(1, min(20, count // 4))


def _ends(steps: Sequence[Step], column: str) -> tuple[float, float, int] | None:
    """Return a column's means over the first and the last window, and where the last begins; None without values."""
    series = _series(steps, column)
    if not series:
        return None
    width = _window(len(series))
    return fmean(value for _, value in series[:width]), fmean(value for _, value in series[-width:]), series[-width][0]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _not_finite(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    for column in MUST_BE_FINITE:
        lost = [one.step for one in steps if not math.isfinite(one.values.get(column, 0.0))]
        if lost:
            yield Alarm(
                "not_finite", f"{column.replace('_', ' ')} is not a number", lost[0],
                f"in {len(lost)} of {len(steps)} steps, first in step {lost[0]}",
                "Stop: the weights may be spoiled from there on. Go on from a checkpoint before it, with a lower "
                "learning rate, gradient clipping at 1.0 and bf16 instead of fp16.",
            )  # fmt: skip


def _length_collapse(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    series = _series(steps, "length")
    if len(series) < limits.trend_steps:
        return
    width = _window(len(series))
    windows = [fmean(value for _, value in series[at : at + width]) for at in range(len(series) - width + 1)]
    most = max(range(len(windows)), key=windows.__getitem__)
    if windows[-1] < limits.length_fall * windows[most]:
        yield Alarm(
            "length_collapse", "answers have become short", series[-width][0],
            f"{windows[most]:.0f} tokens on average from step {series[most][0]}, now {windows[-1]:.0f}",
            "Read completions: if the reasoning is gone, the model guesses. Check that a wrong answer earns nothing "
            "(format weight 0) and that no penalty rewards short answers; go back to a checkpoint before the fall and "
            "add a KL term or lower the learning rate.",
        )  # fmt: skip


def _constant_answers(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    seen = [one for one in steps if one.rollouts and one.rollouts.graded]
    if not seen:
        return
    seen = seen[-_window(len(seen)) :]
    total = Rollouts()
    for one in seen:
        assert one.rollouts is not None
        total.add(one.rollouts)
    excess = {
        answer: count / total.graded - total.golds[answer] / total.graded
        for answer, count in total.answers.items()
        if answer != NO_ANSWER
    }
    answer = max(excess, key=excess.__getitem__, default="")
    prompts = total.groups or total.graded  # completions of one prompt are alike: prompts are what chance draws
    given = total.answers[answer] / total.graded
    chance = 3 * math.sqrt(given * (1 - given) / prompts)
    if prompts >= limits.constant_groups and excess.get(answer, 0.0) > max(limits.constant_excess, chance):
        right = total.golds[answer] / total.graded
        yield Alarm(
            "constant_answers", f"one answer is given again and again: {answer}", seen[0].step,
            f"{_percent(given)} of {total.graded} completions, and right for {_percent(right)} of them",
            "The model plays the most frequent answer. Balance the answers of the training data (mix, or the release's "
            "answer balance), start from easier bands so that looking is worth more than guessing, and compare with "
            "the blind accuracy of the release.",
        )  # fmt: skip


def _reward_without_accuracy(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    accuracy = _ends(steps, "accuracy")
    if accuracy is None or len(_series(steps, "accuracy")) < limits.trend_steps:
        return
    gained = accuracy[1] - accuracy[0]
    for column, name, title in (
        ("format", "format_without_accuracy", "the format is learned, the answers are not"),
        ("reward", "reward_without_accuracy", "reward rises, accuracy does not"),
    ):
        ends = _ends(steps, column)
        if ends and ends[1] - ends[0] > limits.rise and gained < limits.no_rise:
            yield Alarm(
                name, title, ends[2],
                f"{column} {ends[0]:.2f} at first, now {ends[1]:.2f}; accuracy {accuracy[0]:.2f} at first, now "
                f"{accuracy[1]:.2f}",
                "Something other than the right answer is paid for. Set the format weight to 0, read completions that "
                "got reward, and run `hopchain train preflight` on the reward.",
            )  # fmt: skip


def _zero_variance(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    ends = _ends(steps, "zero_variance")
    if ends is None or len(_series(steps, "zero_variance")) < limits.few_steps or ends[1] < limits.zero_variance:
        return
    accuracy = _ends(steps, "accuracy") or _ends(steps, "reward")
    easy = accuracy is not None and accuracy[1] > 0.5
    known = f"; accuracy {accuracy[1]:.2f}" if accuracy else ""
    yield Alarm(
        "zero_variance", "most groups teach nothing", ends[2],
        f"in {_percent(ends[1])} of the groups all rewards are equal{known}",
        f"The questions are too {'easy' if easy else 'hard'} for this model. Stamp difficulty anew with its checkpoint "
        f"(`hopchain train restamp`) and leave out what it {'always' if easy else 'never'} gets right, take more "
        "samples a question, or see that dynamic sampling is on (verl, ms-swift, EasyR1; TRL has none): then such "
        "groups cost time and no gradient.",
    )  # fmt: skip


def _entropy_collapse(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    ends = _ends(steps, "entropy")
    if ends and len(_series(steps, "entropy")) >= limits.trend_steps and ends[1] < limits.entropy_fall * ends[0]:
        yield Alarm(
            "entropy_collapse", "the model has stopped exploring", ends[2],
            f"entropy {ends[0]:.3f} at first, now {ends[1]:.3f}",
            "Raise the upper clip value (0.2/0.3 in Video-HopChain), sample at temperature 1.0, lower the learning "
            "rate, or add fresh questions; a group of equal answers has no gradient.",
        )  # fmt: skip


def _kl_blowup(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    for column, floor, what in (
        ("kl", limits.kl, "the model is far from its reference"),
        ("kl_step", limits.kl_step, "one step changes the model very much"),
    ):
        series = [(step, abs(value)) for step, value in _series(steps, column)]
        if len(series) < limits.trend_steps:
            continue
        width = _window(len(series))
        usual = median(value for _, value in series[:-width])
        step, most = max(series[-width:], key=lambda one: one[1])
        if most > floor and most > limits.kl_times * usual:
            yield Alarm(
                "kl_blowup", what, step,
                f"KL {most:.3f} in step {step}, {usual:.3f} in the median before",
                "Lower the learning rate or lengthen the warm-up (25 steps in Video-HopChain), keep gradient clipping "
                "at 1.0; with a mixture of experts replay the routing (verl) or use GSPO or SAPO. Go back to a "
                "checkpoint before it.",
            )  # fmt: skip


def _clipped(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    ends = _ends(steps, "clipped")
    if ends and len(_series(steps, "clipped")) >= limits.few_steps and ends[1] >= limits.clipped:
        yield Alarm(
            "clipped_responses", "answers are cut off", ends[2],
            f"{_percent(ends[1])} of the responses reach the limit of tokens, {_percent(ends[0])} at first",
            "A cut answer counts as wrong whatever it says. Raise the limit of response tokens (16,384 in "
            "Video-HopChain), or leave cut answers out of the loss (overlong_filter, mask_truncated_completions); if "
            "lengths grow without end, read them for repetition.",
        )  # fmt: skip


def _flat(steps: Sequence[Step], limits: Limits) -> Iterator[Alarm]:
    series = _series(steps, "reward")
    if len(series) < limits.flat_steps:
        return
    third = len(series) // 3
    first, last = ([value for _, value in part] for part in (series[:third], series[-third:]))
    gained = fmean(last) - fmean(first)
    noise = math.sqrt((pstdev(first) ** 2 + pstdev(last) ** 2) / third)
    if gained < max(limits.no_rise, 2 * noise):
        yield Alarm(
            "reward_flat", "reward does not rise", series[0][0],
            f"{fmean(first):.3f} in the first third of {len(series)} steps, {fmean(last):.3f} in the last; "
            f"{2 * noise:.3f} would be chance",
            "Check that right answers are paid (`hopchain train preflight`), that groups differ (zero variance), and "
            "that the learning rate is past its warm-up; then stamp difficulty anew (`hopchain train restamp`) and "
            "begin with easier bands.",
        )  # fmt: skip


_CHECKS: tuple[Callable[[Sequence[Step], Limits], Iterator[Alarm]], ...] = (
    _not_finite, _constant_answers, _reward_without_accuracy, _length_collapse, _entropy_collapse, _kl_blowup,
    _zero_variance, _clipped, _flat,
)  # fmt: skip
