"""A run that is kept in the lake comes back as it was, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl.evaluation import lake_runs
from hopchain_etl.evaluation.answers import HEADER_FILE, EvaluationError
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
    for given in (name, "model step/300"):
        found = lake_runs.fetch(lake, given, tmp_path / "copy")
        assert found.header == run.header
        assert found.answers.equals(run.answers)
    lake.store.delete([f"evaluations/{name}/{HEADER_FILE}"])  # killed while it was replaced
    assert lake_runs.names(lake) == []
    with pytest.raises(EvaluationError, match="no run 'other' in the lake; there are: none"):
        lake_runs.fetch(lake, "other", tmp_path / "other")
