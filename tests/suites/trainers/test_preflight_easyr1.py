"""The check of training files through EasyR1's own loader and reward names planted faults.

EasyR1 is in no package registry, and its package is called verl, as the other one: `EASYR1` names a checkout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted
import pytest

CHECKOUT = os.environ.get("EASYR1", "")
if not CHECKOUT:
    pytest.skip("EASYR1 names no checkout of github.com/hiyouga/EasyR1", allow_module_level=True)
sys.path.insert(0, CHECKOUT)  # before any import of the other verl

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_an_export_has_no_faults(exports: Path, check: Check) -> None:
    files = [exports / "easyr1/train.parquet", exports / "easyr1/validation.parquet"]
    code, report = check(*files, "--trainer", "easyr1", "--set", exports / "set")
    assert report["findings"] == []
    assert (code, report["trainer"], report["rows"]) == (0, "EasyR1", 6)


def test_planted_faults_are_named_with_file_and_row(exports: Path, check: Check, tmp_path: Path) -> None:
    def wrong(row: Any) -> None:
        row["answer"] += " apples"

    def no_image(row: Any) -> None:
        row["images"] = []

    def long(row: Any) -> None:
        row["problem"] += planted.LONG

    def other_answer(row: Any) -> None:
        row["answer"] += "1"

    file = planted.parquet(exports / "easyr1", tmp_path / "bad", wrong, no_image, long, other_answer)
    code, report = check(file, "--trainer", "easyr1", "--set", exports / "set")
    assert code == 1
    assert planted.named(report, file) == {("reward", 0), ("image", 1), ("length", 2), ("reward", 3)}


def test_other_data_needs_a_reward_that_grades_it(exports: Path, check: Check, tmp_path: Path) -> None:
    def foreign(row: Any) -> None:
        row["data_source"], row["answer"] = "nobody/knows", "A"

    file = planted.parquet(exports / "easyr1", tmp_path / "base", foreign)
    code, report = check(file, "--trainer", "easyr1")
    assert (code, planted.named(report, file)) == (1, {("reward", 0)})
    assert "no reward grades it" in planted.problems(report, 0, "reward")
    code, report = check(file, "--trainer", "easyr1", "--reward-kwargs", '{"others": "support.other_rewards:plain"}')
    assert (code, report["findings"]) == (0, [])


def test_images_are_bounded_as_in_the_run(exports: Path, check: Check) -> None:
    """EasyR1 shrinks an image beyond data.max_pixels itself, and rounds otherwise than the model, so as the export."""
    code, report = check(exports / "easyr1/validation.parquet", "--trainer", "easyr1", "--max-pixels", 70_000)
    (finding,) = report["findings"]
    assert (code, finding["check"]) == (1, "image tokens")
    assert "its image becomes 70 tokens, and the export counted 63" in finding["problem"]  # of 320 x 240 px: 80
