"""The check of training files through verl's own loader, processor and reward manager names planted faults."""

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
    files = [exports / "verl/train.parquet", exports / "verl/validation.parquet"]
    code, report = check(*files, "--trainer", "verl", "--set", exports / "set")
    assert report["findings"] == []
    assert (code, report["passed"], report["rows"], report["others"]) == (0, True, 6, 0)
    assert 80 < report["longest"] < 4096


def test_planted_faults_are_named_with_file_and_row(exports: Path, check: Check, tmp_path: Path) -> None:
    def wrong(row: Any) -> None:
        row["reward_model"]["ground_truth"] += " apples"

    def no_image(row: Any) -> None:
        row["images"] = []

    def long(row: Any) -> None:
        row["prompt"][0]["content"] += planted.LONG

    def other_answer(row: Any) -> None:
        row["reward_model"]["ground_truth"] += "1"

    file = planted.parquet(exports / "verl", tmp_path / "bad", wrong, no_image, long, other_answer)
    other = planted.mixed_schema(exports / "verl", tmp_path)
    code, report = check(file, other, "--trainer", "verl", "--set", exports / "set")
    assert code == 1
    assert planted.named(report, file) == {("reward", 0), ("image", 1), ("length", 2), ("reward", 3)}
    assert "apples'" in planted.problems(report, 0, "reward")
    assert "1 <image>, and there are 0 images" in planted.problems(report, 1, "image")
    assert "4096 are allowed" in planted.problems(report, 2, "length")
    assert "the release says" in planted.problems(report, 3, "reward")
    assert planted.named(report, other) == {("schema", None)}
    assert "extra_info.prompt_tokens is string; in" in planted.problems(report, None, "schema")


def test_a_model_that_cuts_images_otherwise_is_named(
    exports: Path, check: Check, processor: Any, model_folder: Path, tmp_path: Path
) -> None:
    import shutil

    from transformers import AutoProcessor

    folder = shutil.copytree(model_folder, tmp_path / "model")
    other = AutoProcessor.from_pretrained(folder)
    other.image_processor.size = {"shortest_edge": 65_536, "longest_edge": 65_536}
    other.save_pretrained(folder)
    code, report = check(exports / "verl/train.parquet", "--trainer", "verl", "--rows", 2, model=folder)
    assert code == 1
    assert {one["check"] for one in report["findings"]} == {"image tokens"}
    assert "and the export counted 80" in report["findings"][0]["problem"]
    assert report["rows"] == 2


def test_other_data_needs_a_reward_that_answers(exports: Path, check: Check, tmp_path: Path) -> None:
    def choice(row: Any) -> None:
        row["data_source"], row["reward_model"]["ground_truth"] = "hiyouga/geometry3k", "\\frac{1}{2}"

    def foreign(row: Any) -> None:
        row["data_source"], row["reward_model"]["ground_truth"] = "nobody/knows", "A"

    file = planted.parquet(exports / "verl", tmp_path / "base", choice, foreign)
    options = ("--reward-kwargs", '{"others": "no.module:here"}')
    code, report = check(file, "--trainer", "verl", *options)
    assert (code, report["others"]) == (1, 2)
    assert ("reward", 0) in planted.named(report, file)
    # verl's own: of the first row it lacks a package, and the second it does not know.
    code, report = check(file, "--trainer", "verl")
    assert (code, planted.named(report, file)) == (1, {("reward", 0), ("reward", 1)})
    assert "no reward grades it" in planted.problems(report, 1, "reward")
    code, report = check(file, "--trainer", "verl", "--reward-kwargs", '{"others": "support.other_rewards:choice"}')
    assert (code, report["findings"]) == (0, [])


def test_the_weights_of_the_run_are_no_faults(exports: Path, check: Check) -> None:
    weights = '{"process_weight": 0.2, "format_weight": 0.1}'
    code, report = check(exports / "verl/train.parquet", "--trainer", "verl", "--reward-kwargs", weights)
    assert (code, report["findings"]) == (0, [])


def test_a_broken_file_is_named_and_the_others_are_checked(exports: Path, check: Check, tmp_path: Path) -> None:
    good = exports / "verl/validation.parquet"
    (tmp_path / "train.parquet").write_bytes(good.read_bytes()[:-9])
    code, report = check(tmp_path / "train.parquet", good, "--trainer", "verl")
    assert (code, report["rows"]) == (1, 1)
    assert planted.named(report, tmp_path / "train.parquet") == {("load", None)}
