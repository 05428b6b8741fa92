"""What is far from the last builds is named, and what chance or habit explains is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.pipeline.drift import LEAST_BUILDS, LEAST_SAMPLE, TABLE, drift_of, message
from hopchain_etl.pipeline.statistics import BuildStatistics
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.settings import QualitySettings


def build(
    run: int = 0,
    *,
    photos: int = 400,
    questions: int = 800,
    tokens: int = 400_000,
    reasons: dict[str, int] | None = None,
    answers: dict[str, int] | None = None,
) -> BuildStatistics:
    reasons = {"not_unique": 100, "dead_hop": 40} if reasons is None else reasons
    judged = questions + sum(reasons.values())
    return BuildStatistics(
        run=f"night-{run}",
        lineage="one",
        shares={
            "detect: rejected": (20, photos),
            "generate: rejected": (8, photos),
            **{f"generate: {reason}": (count, judged) for reason, count in reasons.items()},
        },
        rates={"questions a photo": (questions, photos), "tokens a question": (tokens, questions)},
        mixes={"answers": {"1": 100, "2": 400, "3": 300} if answers is None else answers},
    )


BEFORE = [build(number, questions=780 + 10 * number, tokens=390_000 + 5_000 * number) for number in range(5)]


def drifted(now: BuildStatistics, before: list[BuildStatistics] = BEFORE, *, changed: bool = False) -> str:
    rows = drift_of(now, before)
    return message(rows, make_validator(QualitySettings())(TABLE, rows), changed=changed)


def test_a_build_like_the_others_has_nothing_to_say() -> None:
    rows = drift_of(build(), BEFORE)
    assert {"questions a photo", "mix of answers", "generate: not_unique"} <= set(rows["figure"].to_pylist())
    assert drifted(build()) == ""


@pytest.mark.parametrize(
    ("now", "named"),
    [
        (build(questions=200), "questions a photo: 0.5, usually 2"),
        (build(tokens=900_000), "tokens a question: 1.12e+03, usually 500"),
        (build(reasons={"not_unique": 500, "dead_hop": 40}), "generate: not_unique: 0.373, usually 0.106"),
        (build(reasons={"not_unique": 100, "dead_hop": 40, "no_chain": 300}), "generate: no_chain: 0.242, usually 0 "),
        (build(reasons={"dead_hop": 40}), "generate: not_unique: 0, usually 0.106"),
        (build(answers={"0": 700, "2": 100}), "mix of answers: 0.875"),
    ],
    ids=["yield", "tokens", "more of a reason", "a new reason", "a reason that is gone", "answers"],
)
def test_what_is_far_from_the_last_builds_is_named_with_both_figures(now: BuildStatistics, named: str) -> None:
    assert named in drifted(now)


def test_other_fingerprints_are_said_to_be_the_likely_cause() -> None:
    assert "fingerprints" not in drifted(build(questions=200))
    assert "`hopchain plan --explain`" in drifted(build(questions=200), changed=True)


def test_few_builds_and_small_builds_are_not_judged() -> None:
    assert drift_of(build(questions=200), BEFORE[: LEAST_BUILDS - 1]).num_rows == 0
    small = build(photos=LEAST_SAMPLE - 1, questions=LEAST_SAMPLE - 1, reasons={}, answers={"9": LEAST_SAMPLE - 1})
    assert drift_of(small, BEFORE).num_rows == 0


def test_what_varies_from_night_to_night_may_vary() -> None:
    restless = [build(number, questions=800 if number % 2 else 300) for number in range(6)]
    assert "questions a photo" not in drifted(build(questions=250), restless)
    assert "questions a photo" in drifted(build(questions=250), BEFORE)


@given(st.integers(0, 2**32), st.integers(40, 400))
def test_chance_alone_is_no_drift(seed: int, photos: int) -> None:
    """Builds drawn from the same source differ by chance only; at 4 spreads none of them is named."""
    chosen = random.Random(seed)

    def drawn(number: int) -> BuildStatistics:
        questions = sum(chosen.random() < 0.5 for _ in range(4 * photos))
        bad = sum(chosen.random() < 0.1 for _ in range(questions))
        answers = {"1": 0, "2": 0, "3": 0}
        for _ in range(questions):
            answers[chosen.choice("1223")] += 1
        return build(number, photos=photos, questions=questions, tokens=500 * questions,
                     reasons={"not_unique": bad}, answers=answers)  # fmt: skip

    before = [drawn(number) for number in range(5)]
    rows = drift_of(drawn(5), before)
    assert rows.num_rows >= 5
    assert max(map(abs, rows["deviation"].to_pylist())) < 4


def test_statistics_are_written_and_read_back() -> None:
    assert BuildStatistics.from_json(build().to_json()) == build()
