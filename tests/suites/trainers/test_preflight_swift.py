"""The check of training files through ms-swift's own loader, template and rewards names planted faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted
import pytest
from swift.template.templates.qwen import Qwen2VLTemplate

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(autouse=True)
def small_vocabulary(processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ms-swift's template knows the real model's number of the image token; the small tokenizer has another one."""
    monkeypatch.setattr(Qwen2VLTemplate, "image_token_id", processor.image_token_id)
    monkeypatch.delenv("ROOT_IMAGE_DIR", raising=False)


def test_an_export_has_no_faults(exports: Path, check: Check) -> None:
    files = [exports / "swift/train.jsonl", exports / "swift/validation.jsonl"]
    code, report = check(*files, "--trainer", "swift", "--set", exports / "set")
    assert report["findings"] == []
    assert (code, report["passed"], report["rows"]) == (0, True, 6)


def test_planted_faults_are_named_with_file_and_row(exports: Path, check: Check, tmp_path: Path) -> None:
    def wrong(row: Any) -> None:
        row["answer"] = "A"

    def no_image(row: Any) -> None:
        row["images"] = ["images/gone.png"]

    def long(row: Any) -> None:
        row["messages"][0]["content"] += planted.LONG

    def other_answer(row: Any) -> None:
        row["answer"] += "1"

    file = planted.lines(exports / "swift", tmp_path / "bad", wrong, no_image, long, other_answer)
    code, report = check(file, "--trainer", "swift", "--set", exports / "set")
    assert code == 1
    assert planted.named(report, file) == {("reward", 0), ("image", 1), ("length", 2), ("reward", 3)}
    assert "gone.png" in planted.problems(report, 1, "image")
    assert "the release says" in planted.problems(report, 3, "reward")


def test_lines_of_another_type_are_named(exports: Path, check: Check, tmp_path: Path) -> None:
    def number(row: Any) -> None:
        row["answer"] = 7

    file = planted.lines(exports / "swift", tmp_path / "bad", lambda _: None, number)
    code, report = check(file, "--trainer", "swift")
    assert code == 1
    assert ("schema", 1) in planted.named(report, file)
    assert "column answer is number; in" in planted.problems(report, 1, "schema")


def test_other_data_needs_a_reward_that_grades_it(exports: Path, check: Check, tmp_path: Path) -> None:
    def foreign(row: Any) -> None:
        row["data_source"], row["answer"] = "nobody/knows", "A"

    ours = "hopchain_accuracy, hopchain_format"
    file = planted.lines(exports / "swift", tmp_path / "base", foreign)
    code, report = check(file, "--trainer", "swift", "--reward", ours)
    assert (code, planted.named(report, file)) == (1, {("reward", 0)})
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from swift.rewards import ORM, orms\nfrom support.other_rewards import of_columns\n"
        "class Others(ORM):\n    def __call__(self, completions, **columns):\n"
        "        return of_columns(completions, **columns)\norms['others'] = Others\n"
    )
    code, report = check(file, "--trainer", "swift", "--reward", f"{ours},{plugin}:others")
    assert (code, report["findings"]) == (0, [])


def test_a_broken_line_is_named_by_its_row(exports: Path, check: Check, tmp_path: Path) -> None:
    good = exports / "swift/validation.jsonl"
    file = planted.lines(exports / "swift", tmp_path / "bad")
    file.write_text(file.read_text() + "{\n")
    code, report = check(file, good, "--trainer", "swift")
    assert (code, report["rows"]) == (1, 1)
    assert planted.named(report, file) == {("load", 5)}
