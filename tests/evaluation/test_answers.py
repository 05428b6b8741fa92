"""A run is written and read whole; what is no run is told with its place."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from hopchain_etl.evaluation.answers import (
    ANSWERS_FILE,
    EVALUATIONS,
    HEADER_FILE,
    EvaluationError,
    EvaluationRun,
    RunHeader,
)

ROW = {"benchmark": "hopchain/default", "item_id": "q", "sample": 0, "sees_image": True, "gold": "24", "score": 1.0}


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    header = RunHeader("base", "tiny", sampling={"temperature": 1.0}, splits={"hopchain/default": "v1.0.0 validation"})
    run = EvaluationRun(header, pa.Table.from_pylist([ROW], EVALUATIONS))
    run.write(tmp_path)
    assert EvaluationRun.read(tmp_path) == run


@pytest.mark.parametrize("lost", [ANSWERS_FILE, HEADER_FILE])
def test_an_incomplete_run_is_named(tmp_path: Path, lost: str) -> None:
    EvaluationRun(RunHeader("base", "tiny"), pa.Table.from_pylist([ROW], EVALUATIONS)).write(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(EvaluationError, match=lost):
        EvaluationRun.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", '{"name": "a"}', '{"name": "a", "model": "m", "unknown": 1}'])
def test_a_header_of_another_form_is_an_error(tmp_path: Path, text: str) -> None:
    EvaluationRun(RunHeader("base", "tiny"), pa.Table.from_pylist([ROW], EVALUATIONS)).write(tmp_path)
    (tmp_path / HEADER_FILE).write_text(text)
    with pytest.raises(EvaluationError, match=str(tmp_path)):
        EvaluationRun.read(tmp_path)
