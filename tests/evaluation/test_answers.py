"""A run is written and read whole; what is no run is told with its place."""

from __future__ import annotations

from collections.abc import Callable
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
from support.training_sets import pages_damaged

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


@pytest.mark.parametrize("damaged", [pages_damaged, lambda file: file[:100]])
def test_damaged_answers_are_told_with_their_folder(tmp_path: Path, damaged: Callable[[bytes], bytes]) -> None:
    EvaluationRun(RunHeader("base", "tiny"), pa.Table.from_pylist([ROW], EVALUATIONS)).write(tmp_path)
    file = tmp_path / ANSWERS_FILE
    file.write_bytes(damaged(file.read_bytes()))
    with pytest.raises(EvaluationError, match=tmp_path.name):
        EvaluationRun.read(tmp_path)


def test_a_write_that_is_cut_off_leaves_no_header_of_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = EvaluationRun(RunHeader("base", "tiny"), pa.Table.from_pylist([ROW], EVALUATIONS))
    run.write(tmp_path)
    (tmp_path / "overlap.json").write_text("{}")

    def full_disk(table: pa.Table, file: Path) -> None:
        Path(file).write_bytes(b"PAR1")
        raise OSError("no space left")

    other = EvaluationRun(RunHeader("other", "tiny"), run.answers)
    monkeypatch.setattr("pyarrow.parquet.write_table", full_disk)
    with pytest.raises(OSError, match="no space left"):
        other.write(tmp_path)
    monkeypatch.undo()
    with pytest.raises(EvaluationError, match=HEADER_FILE):
        EvaluationRun.read(tmp_path)
    assert not (tmp_path / "overlap.json").exists()
    run.write(tmp_path)
    assert EvaluationRun.read(tmp_path) == run
    assert {file.name for file in tmp_path.iterdir()} == {ANSWERS_FILE, HEADER_FILE}


OTHER_FORMS = (
    '{"name": "a"}',
    '{"name": "a", "model": "m", "unknown": 1}',
    '{"name": "a", "model": "m", "splits": []}',
    '{"name": "a", "model": "m", "splits": {"b": 1}}',
    '{"name": "a", "model": "m", "sampling": "greedy"}',
    '{"name": 7, "model": "m"}',
    '{"name": "a", "model": null}',
    '{"name": "a", "model": "m", "prompt": 1}',
)


@pytest.mark.parametrize("text", ["{", "[1]", *OTHER_FORMS])
def test_a_header_of_another_form_is_an_error(tmp_path: Path, text: str) -> None:
    EvaluationRun(RunHeader("base", "tiny"), pa.Table.from_pylist([ROW], EVALUATIONS)).write(tmp_path)
    (tmp_path / HEADER_FILE).write_text(text)
    with pytest.raises(EvaluationError, match=str(tmp_path)):
        EvaluationRun.read(tmp_path)
