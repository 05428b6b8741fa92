"""Every wrong answer is counted once, under the first who explains it, for each run and for what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.slips import Slip
from hopchain_etl.evaluation.errors.taxonomy import By, Diagnosis, Key, Verdict, diagnose, error_tables, examples, table
from hopchain_etl.training_set.dataset import TrainingSet
from support.evaluated import a_set
from support.wrong_answers import off_by, right, run_over

KEY = Key("hopchain/default", "q", "full", 0)
ANSWER = {"answer": "5", "text": "5", "item_id": "q", "question": "?", "gold": "4"}
ONE, TWO = Slip(2, ErrorKind.COUNTING, 0.9), Slip(2, ErrorKind.COUNTING, 0.4, (3,))
SAID = Verdict(ErrorKind.KNOWLEDGE, None, "nobody knows that")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


@pytest.mark.parametrize(
    ("slip", "verdict", "answer", "by", "kind", "hop"),
    [
        (ONE, None, "5", By.CODE, ErrorKind.COUNTING, 2),
        (ONE, SAID, "5", By.CODE, ErrorKind.COUNTING, 2),
        (TWO, SAID, "5", By.JUDGE, ErrorKind.KNOWLEDGE, None),
        (TWO, None, "5", By.AMBIGUOUS, ErrorKind.COUNTING, 2),
        (None, SAID, "5", By.JUDGE, ErrorKind.KNOWLEDGE, None),
        (None, None, "5", By.NOBODY, None, None),
        (None, SAID, None, By.CODE, ErrorKind.OTHER, None),  # there is no answer to explain
    ],
)
def test_code_is_believed_first_and_then_the_judge(
    slip: Slip | None, verdict: Verdict | None, answer: str | None, by: By, kind: ErrorKind | None, hop: int | None
) -> None:
    one = Diagnosis(KEY, {**ANSWER, "answer": answer}, slip, verdict)
    assert (one.by, one.kind, one.hop) == (by, kind, hop)


def test_shares_are_of_the_explained_and_counts_add_up() -> None:
    some = [Diagnosis(KEY, ANSWER, ONE), Diagnosis(KEY, ANSWER, TWO), Diagnosis(KEY, ANSWER)]
    counted = table([*some, Diagnosis(KEY, ANSWER, None, SAID)])
    assert (counted["wrong"], counted["explained"]) == (4, 3)
    assert counted["by"] == {"code": 1, "judge": 1, "ambiguous": 1, "nobody": 1}
    assert counted["groups"]["perception"] == {"errors": 2, "share": 0.6667}
    (counting,) = (row for row in counted["kinds"] if row["kind"] == "counting")
    assert (counting["errors"], counting["code"], counting["ambiguous"], counting["judge"]) == (2, 1, 1, 0)
    assert sum(row["errors"] for row in counted["kinds"]) == 3
    assert counted["hops"] == {"2": 2}
    assert table([])["groups"]["perception"]["share"] is None


def test_what_was_corrected_and_what_was_broken_are_errors_of_one_run_only(folder: Path) -> None:
    rows = TrainingSet(folder)
    first = sorted(row["query_id"] for row in rows if row["split"] == "validation")[0]
    before = run_over(folder, lambda one: right(one) if one.item_id == first else off_by(2)(one))
    after = run_over(folder, lambda one: off_by(1)(one) if one.item_id == first else right(one), "trained")
    found = [list(diagnose(run, rows)) for run in (before, after)]
    assert {one.key.item_id for one in found[1]} == {first}
    assert any(one.slip for one in found[0])
    facts = error_tables([before, after], found)
    assert facts["corrected"] == facts["baseline"]
    assert facts["broken"] == facts["trained"]
    assert facts["baseline"]["wrong"] == before.answers.num_rows - 1
    same = error_tables([before, before], [found[0], found[0]])
    assert (same["corrected"]["wrong"], same["broken"]["wrong"]) == (0, 0)
    assert error_tables([before], found[:1]).keys() == {"baseline", "names", "models"}


def test_blind_answers_and_right_ones_are_no_errors_with_the_photo(folder: Path) -> None:
    run = run_over(folder, lambda one: right(one) if one.sees_image else "<answer>0</answer>", blind_samples=1)
    assert list(diagnose(run, TrainingSet(folder))) == []


def test_a_set_that_was_not_asked_is_refused(folder: Path, tmp_path: Path) -> None:
    other = TrainingSet(a_set(tmp_path, range(20, 22)))
    with pytest.raises(EvaluationError, match="has none of the questions of base; give the set"):
        list(diagnose(run_over(folder, off_by(1)), other))


def test_examples_are_the_same_for_a_seed_and_few_of_each_kind() -> None:
    some = [Diagnosis(KEY, {**ANSWER, "text": "x" * 5_000, "gold": str(n)}, ONE) for n in range(9)]
    shown = examples([*some, Diagnosis(KEY, ANSWER, None, SAID), Diagnosis(KEY, ANSWER)], seed=3)
    assert [(one["kind"], one["by"]) for one in shown] == [
        ("counting", "code"), ("counting", "code"), ("knowledge", "judge"), ("nobody", "nobody")
    ]  # fmt: skip
    assert shown[2]["reason"] == "nobody knows that"
    assert len(shown[0]["text"]) == 1_200
    assert shown[:2] == examples(some, seed=3)
