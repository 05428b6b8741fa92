"""Logs that belong together are one run, others are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.importing import import_logs
from support.harness_logs import STAMP, lmms_log, sample


def test_logs_of_one_model_are_one_run(tmp_path: Path) -> None:
    paths = [lmms_log(tmp_path / task, task, [sample(0, acc=1)], ["acc"]) for task in ("b", "a")]
    run, _ = import_logs(paths, "both")
    assert run.answers["benchmark"].to_pylist() == ["b", "a"]
    assert set(run.header.splits) == {"a", "b"}


def test_logs_of_two_models_are_two_runs(tmp_path: Path) -> None:
    paths = [lmms_log(tmp_path / task, task, [sample(0, acc=1)], ["acc"]) for task in ("b", "a")]
    results = tmp_path / "a" / f"{STAMP}_results.json"
    results.write_text(json.dumps(json.loads(results.read_text()) | {"model_name": "other"}))
    with pytest.raises(EvaluationError, match=r"the model 'other'.*two runs"):
        import_logs(paths, "both")
    assert import_logs(paths, "both", model="one name")[0].header.model == "one name"


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="there is no file"):
        import_logs([tmp_path / "a.jsonl"], "x")
    path = lmms_log(tmp_path, "t", [sample(0, acc=1)], ["acc"])
    with pytest.raises(EvaluationError, match="no harness 'inspect'"):
        import_logs([path], "x", harness="inspect")
    with pytest.raises(EvaluationError, match="one by one"):
        import_logs([path, path], "x", benchmark="b")
    with pytest.raises(EvaluationError, match="no log was given"):
        import_logs([], "x")


def test_both_harnesses_write_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "qwen" / "qwen_CountBench.jsonl"
    path.parent.mkdir()
    rows = [{"index": number, "question": "How many?", "answer": "3", "prediction": str(number)} for number in (3, 4)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    run, _ = import_logs([path], "x")
    assert (run.header.harness, run.header.model) == ("vlmevalkit", "qwen")
    assert run.answers["score"].to_pylist() == [1, 0]
    path.write_text("")
    with pytest.raises(EvaluationError, match="is no log of lmms-eval; give its output folder"):
        import_logs([path], "x")
    with pytest.raises(EvaluationError, match=r"has no \*results.json; .* For VLMEvalKit, give the file"):
        import_logs([path.parent], "x")
