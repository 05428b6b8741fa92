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
