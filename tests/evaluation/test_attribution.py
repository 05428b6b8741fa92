"""Accuracy is told apart by how many similar questions the training split has."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl.evaluation.attribution import attribution
from hopchain_etl.training_set.dataset import TrainingSet
from support.evaluated import _row
from support.training_sets import released
from support.wrong_answers import off_by, right, run_over

PHOTOS = range(4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six questions in validation; those numbered 0 have a template and band that training has, twice."""
    rows = [_row(seed, number) for seed in PHOTOS for number in range(2)]
    for row in rows[:6]:
        row["split"] = "validation"
    for row in rows[1:6:2]:
        row["hops"] = row["hops"][1:]  # another template
    rows[7]["hops"] = rows[6]["hops"]
    for row in rows:
        row["band"] = "easy"
    rows[0]["band"] = "hard"
    return released(tmp_path_factory.mktemp("set"), rows, PHOTOS)


def test_questions_with_a_template_of_training_are_told_from_others(folder: Path) -> None:
    rows = TrainingSet(folder)
    known = {row["query_id"] for row in rows if len(row["hops"]) == max(len(one["hops"]) for one in rows)}
    first = run_over(folder, off_by(1))
    second = run_over(folder, lambda one: right(one) if one.item_id in known else off_by(1)(one), "trained")
    cells = attribution([first, second], TrainingSet(folder, split="train"), rows)
    by_template = {cell["in_training"]: cell for cell in cells if cell["similar"] == "template"}
    assert {name: (cell["questions"], cell["photos"]) for name, cell in by_template.items()} == {
        "none": (3, 3), "1 to 9": (3, 3)
    }  # fmt: skip
    assert [one["value"] for one in by_template["1 to 9"]["accuracy"]] == [0, 1]
    assert by_template["none"]["difference"]["value"] == 0
    everything = {c["in_training"]: c["questions"] for c in cells if c["similar"] == "template, categories and band"}
    assert everything["1 to 9"] <= 2  # one of the three is of another band
    for name in {cell["similar"] for cell in cells}:
        assert sum(cell["questions"] for cell in cells if cell["similar"] == name) == 6


def test_a_set_without_programs_and_a_run_without_full_questions_say_nothing(folder: Path, tmp_path: Path) -> None:
    row = _row(9, 0) | {"split": "validation", "hops": None}
    other = released(tmp_path, [row], range(9, 11))
    train = TrainingSet(folder, split="train")
    assert attribution([run_over(other, right)], train, TrainingSet(other)) == []
    halves = run_over(folder, right, variants=("half", "single"))
    assert halves.answers.num_rows
    assert attribution([halves], train, TrainingSet(folder)) == []
