"""A run that is kept in the lake comes back as it was, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl.evaluation import lake_runs
from hopchain_etl.evaluation.answers import ANSWERS_FILE, HEADER_FILE, EvaluationError, EvaluationRun
from hopchain_etl.evaluation.run import ask, folder_lake
from support.evaluated import Knowing, a_set, questions


def test_a_run_is_stored_listed_replaced_and_fetched(tmp_path: Path) -> None:
    asked = questions(a_set(tmp_path))
    lake = folder_lake(tmp_path / "lake")
    assert lake_runs.names(lake) == []
    for text in ("<answer>1</answer>", "<answer>2</answer>"):
        solver = Knowing(lambda job, text=text: text)
        run = ask(asked, solver, folder_lake(tmp_path / text[8]), name="model step/300")
        lake_runs.store(lake, run)
    (name,) = lake_runs.names(lake)
    assert name.startswith("model-step-300-")
    for given in (name, "model step/300"):
        found = lake_runs.fetch(lake, given, tmp_path / "copy")
        assert found.header == run.header
        assert found.answers.equals(run.answers)
    lake.store.delete([f"evaluations/{name}/{HEADER_FILE}"])  # killed while it was replaced
    assert lake_runs.names(lake) == []
    with pytest.raises(EvaluationError, match="no run 'other' in the lake; there are: none"):
        lake_runs.fetch(lake, "other", tmp_path / "other")


def test_a_run_that_was_asked_otherwise_stays_beside_one_of_the_same_name(tmp_path: Path) -> None:
    folder, lake, solver = a_set(tmp_path), folder_lake(tmp_path / "lake"), Knowing(lambda job: "<answer>1</answer>")
    made = [
        ask(questions(folder, **how), solver, folder_lake(tmp_path / "journal"), name="m")
        for how in ({}, {"samples": 2}, {"variants": ("half",)}, {"limit": 2})
    ]
    stored = [lake_runs.store(lake, run) for run in made]
    assert len(lake_runs.names(lake)) == len(set(stored)) == 4
    for prefix, run in zip(stored, made, strict=True):
        assert lake_runs.fetch(lake, prefix.split("/")[1], tmp_path / prefix).answers.equals(run.answers)
    with pytest.raises(EvaluationError, match="4 runs in the lake are called 'm'; choose one: m-"):
        lake_runs.fetch(lake, "m", tmp_path / "copy")


def test_a_run_that_is_not_whole_in_the_lake_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    run = ask(questions(a_set(tmp_path)), Knowing(lambda job: "1"), folder_lake(tmp_path / "journal"), name="m")
    lake = folder_lake(tmp_path / "lake")
    prefix = lake_runs.store(lake, run)
    run.write(tmp_path / "copy")
    lake.store.delete([prefix + ANSWERS_FILE])
    with pytest.raises(EvaluationError, match="is being replaced, or was cut off"):
        lake_runs.fetch(lake, "m", tmp_path / "copy")
    assert EvaluationRun.read(tmp_path / "copy").answers.equals(run.answers)
