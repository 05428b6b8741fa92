"""The check of training files as GRPOTrainer of TRL takes them names planted faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted
import pytest

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_an_export_has_no_faults(exports: Path, check: Check) -> None:
    files = [exports / "trl/train.parquet", exports / "trl/validation.parquet"]
    code, report = check(*files, "--trainer", "trl", "--set", exports / "set")
    assert report["findings"] == []
    assert (code, report["passed"], report["rows"]) == (0, True, 6)


def test_planted_faults_are_named_with_file_and_row(exports: Path, check: Check, tmp_path: Path) -> None:
    def wrong(row: Any) -> None:
        row["answer"] = "A"

    def no_image(row: Any) -> None:
        row["images"] = [{"bytes": None, "path": None}]

    def long(row: Any) -> None:
        row["prompt"][0]["content"] += planted.LONG

    def other_answer(row: Any) -> None:
        row["answer"] += "1"

    def broken(row: Any) -> None:
        row["images"] = [{"bytes": row["images"][0]["bytes"][:60], "path": None}]

    file = planted.parquet(exports / "trl", tmp_path / "bad", wrong, no_image, long, other_answer, broken)
    other = planted.mixed_schema(exports / "trl", tmp_path)
    code, report = check(file, other, "--trainer", "trl", "--set", exports / "set")
    assert code == 1
    assert planted.named(report, file) == {("reward", 0), ("image", 1), ("length", 2), ("reward", 3), ("image", 4)}
    assert "neither bytes nor a path" in planted.problems(report, 1, "image")
    assert ("schema", None) in planted.named(report, other)
    assert "prompt_tokens is string; in" in planted.problems(report, None, "schema")


def test_a_reward_that_is_not_ours_is_held_to_the_same(exports: Path, check: Check) -> None:
    lenient = "hopchain_etl.training_set.rewards.trl:format_reward"
    code, report = check(exports / "trl/validation.parquet", "--trainer", "trl", "--reward", lenient)
    assert code == 1
    (finding,) = report["findings"]
    assert "gold + 1" in finding["problem"]
    assert "scores 1.0, not 0" in finding["problem"]


def test_other_data_needs_a_reward_that_grades_it(exports: Path, check: Check, tmp_path: Path) -> None:
    def foreign(row: Any) -> None:
        row["data_source"], row["answer"] = "nobody/knows", "A"

    ours = "hopchain_etl.training_set.rewards.trl:accuracy_reward,hopchain_etl.training_set.rewards.trl:format_reward"
    file = planted.parquet(exports / "trl", tmp_path / "base", foreign, foreign)
    code, report = check(file, "--trainer", "trl", "--reward", ours)
    assert (code, report["others"]) == (1, 2)
    assert planted.named(report, file) == {("reward", 0), ("reward", 1)}
    code, report = check(file, "--trainer", "trl", "--reward", f"{ours},support.other_rewards:of_columns")
    assert (code, report["findings"]) == (0, [])
