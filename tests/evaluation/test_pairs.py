"""Two runs are put side by side question by question, and what speaks against comparing them is said."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.pairs import match
from support.evaluation_runs import BENCHMARK, HEADER, run, scored


def test_samples_become_a_mean_and_photos_a_balance() -> None:
    rows = [{"item_id": f"q{place // 4}", "sample": place % 4, "cluster": "one photo"} for place in range(8)]
    before = run("before", [row | {"score": float(row["sample"] < 1), "tokens": 10} for row in rows])
    after = run("after", [row | {"score": float(row["sample"] < 3)} for row in reversed(rows)])
    pairs = match(before, after).pairs
    assert (pairs.before.tolist(), pairs.after.tolist()) == ([0.25, 0.25], [0.75, 0.75])
    assert pairs.balances.tolist() == [4.0]  # answers, of the one photo
    assert pairs.tokens.tolist() == [10, 10]
    assert pairs.column("item_id").tolist() == ["q0", "q1"]


def test_questions_of_one_run_alone_are_left_out_and_counted() -> None:
    before, after = run("before", scored([1] * 5)), run("after", scored([1] * 3))
    matched = match(before, after)
    assert len(matched.pairs) == 3
    assert matched.warnings == ("2 questions of before are left out: after has no answer to them",)
    assert matched.objections == ()


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"prompt": "ef" * 32}, "prompt"),
        ({"grader": "hopchain 2"}, "grader"),
        ({"harness": "lmms-eval 0.7"}, "harness"),
        ({"sampling": {"temperature": 0.0, "top_p": 0.95}}, "sampling: temperature is 1.0 in before, and 0.0 in after"),
        ({"sampling": {**HEADER["sampling"], "max_tokens": 512}}, "sampling: max_tokens is None"),
        ({"splits": {BENCHMARK: "v1.3.0 validation"}}, f"splits: {BENCHMARK}"),
    ],
)
def test_every_difference_in_measuring_is_an_objection(header: dict[str, Any], told: str) -> None:
    (objection,) = match(run("before", scored([1, 0])), run("after", scored([1, 0]), **header)).objections
    assert objection.startswith(told)


def test_another_model_or_another_benchmark_beside_is_none() -> None:
    splits = {"splits": {**HEADER["splits"], "EMMA": "test"}}
    after = run("after", scored([1, 0]), model_revision="abc", **splits)
    assert match(run("before", scored([1, 0])), after).objections == ()


def test_the_sampling_of_another_benchmark_beside_does_not_matter() -> None:
    how = {BENCHMARK: {"temperature": 0.0}}
    before = run("before", scored([1, 0]), sampling=how | {"EMMA": {"temperature": 1.0}})
    assert match(before, run("after", scored([1, 0]), sampling=how)).objections == ()
    other = run("after", scored([1, 0]), sampling={BENCHMARK: {"temperature": 0.5}})
    (objection,) = match(before, other).objections
    assert objection.startswith(f"sampling: {BENCHMARK} is")


@pytest.mark.parametrize("column", ["question", "gold"])
def test_the_same_name_for_another_question_is_an_objection(column: str) -> None:
    (objection,) = match(run("before", scored([1, 0])), run("after", scored([1, 0], **{column: "another"}))).objections
    assert objection == f"{column}: not the same in both runs for 2 questions, such as q00000"
    not_kept = run("after", scored([1, 0], **{column: None}))
    assert match(run("before", scored([1, 0])), not_kept).objections == ()


def test_a_prompt_that_nobody_knows_and_uneven_samples_are_told() -> None:
    before = run("before", scored([1, 0]), prompt=None)
    after = run("after", [*scored([1, 0]), {"item_id": "q00000", "cluster": "photo 0", "sample": 1}], prompt=None)
    matched = match(before, after)
    assert any("same prompt is not known" in one for one in matched.warnings)
    assert any(one.startswith("1 questions were asked more often") for one in matched.warnings)
    assert matched.pairs.balances.tolist() == [0.0]  # in questions: their answers are not equally many


@pytest.mark.parametrize("column", ["score", "cluster", "item_id", "sees_image"])
def test_an_answer_without_what_is_needed_is_an_error(column: str) -> None:
    broken = run("broken", [*scored([1, 0]), {column: None}])
    with pytest.raises(EvaluationError, match=f"broken: 1 answers have no {column}; the first is"):
        match(run("before", scored([1, 0])), broken)


@pytest.mark.parametrize("score", [100.0, -1.0, float("nan")])
def test_a_score_that_is_no_share_is_an_error(score: float) -> None:
    broken = run("broken", [*scored([1, 0]), {"score": score}])
    with pytest.raises(EvaluationError, match=r"broken: a score is a share from 0 to 1; .* 'q00002'"):
        match(run("before", scored([1, 0])), broken)


def test_a_sample_that_is_there_twice_is_an_error() -> None:
    twice = run("twice", scored([1, 0], item_id="q7"))
    with pytest.raises(EvaluationError, match="twice: benchmark hopchain/default item q7"):
        match(twice, twice)


def test_runs_without_a_common_question_are_an_error() -> None:
    with pytest.raises(EvaluationError, match="before and after have no question in common"):
        match(run("before", scored([1])), run("after", scored([1], benchmark="EMMA")))


def test_requests_without_an_answer_are_counted_and_more_of_them_in_one_run_is_said() -> None:
    lost = [{"finish_reason": one, "score": 0.0} for one in ("refused", "failed", "invalid")]
    whole, broken = run("whole", scored([1, 0, 1, 1])), run("broken", [*lost, *scored([1])])
    few, more = match(whole, broken).warnings
    assert few.startswith("3 of 4 requests of broken gave no answer")
    assert more.startswith("requests gave no answer more often in broken than in the other run")
    assert len(match(broken, broken).warnings) == 2, "each is counted, and neither has more"
    assert match(whole, whole).warnings == ()
