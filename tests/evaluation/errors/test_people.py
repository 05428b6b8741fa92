"""People see the answer and the way to the right one, not what code or the judge said, and are compared with both."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl.annotation.error_reviews import Opinion
from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.people import agreement, item_id, review_batch
from hopchain_etl.evaluation.errors.slips import Slip
from hopchain_etl.evaluation.errors.taxonomy import Diagnosis, Key, Verdict, diagnose
from hopchain_etl.training_set.dataset import TrainingSet
from support.evaluated import a_set
from support.wrong_answers import off_by, run_over

KINDS = (ErrorKind.TEXT, ErrorKind.COLOUR, ErrorKind.ORDER, ErrorKind.KNOWLEDGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def test_an_item_tells_nothing_of_code_and_judge(folder: Path) -> None:
    rows = TrainingSet(folder)
    found = [one.judged(Verdict(KINDS[0], 1, "SECRET")) for one in diagnose(run_over(folder, off_by(1)), rows)]
    batch = review_batch("errors-1", "lead", "base", found, rows, seats=2)
    assert {one.item for one in batch.items} == {item_id("base", one) for one in found}
    assert "SECRET" not in str(batch)
    first = batch.items[0]
    row = rows.by_id(first.query_id)
    assert (first.question, first.right, len(first.steps)) == (row["question"], row["answer"], len(row["hops"]))
    assert first.response == f"<answer>{int(row['answer']) + 1}</answer>"
    assert review_batch("other", "x", "other run", found, rows).items[0].item != first.item


def diagnosed(place: int, judge: ErrorKind | None, code: ErrorKind | None) -> Diagnosis:
    answer = {"answer": "5", "text": "5"}
    slip = Slip(1, code, 1.0) if code else None
    return Diagnosis(Key("b", f"q{place}", "full", 0), answer, slip, Verdict(judge, 1) if judge else None)


def test_kappa_is_over_what_both_have_said() -> None:
    found = [diagnosed(n, kind, KINDS[0]) for n, kind in enumerate(KINDS)] + [diagnosed(9, None, None)]
    said = {
        item_id("base", one): [Opinion(item_id("base", one), "ann", kind, 1, None, "2026")]
        for one, kind in zip(found, [*KINDS[:3], KINDS[0], KINDS[1]], strict=True)
    }
    facts = agreement("base", found, said)
    assert (facts["answers"], facts["opinions"]) == (5, 5)
    # Three of four are the same; by chance 4 of 16 would be, and 7 of 16 of the groups.
    assert facts["judge"] == {"answers": 4, "same": 3, "kappa": 0.6667, "kappa_groups": 0.5556}
    assert (facts["code"]["answers"], facts["code"]["same"], facts["code"]["kappa"]) == (4, 2, 0)
    assert agreement("another", found, said)["answers"] == 0
