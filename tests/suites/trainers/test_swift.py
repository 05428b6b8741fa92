"""ms-swift's loader and preprocessor take the export, its template encodes it, and its rewards are registered."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from swift.dataset import load_dataset
from swift.rewards import orms

ROOT = Path(__file__).parents[3]


@pytest.fixture
def rows(exports: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(exports / "swift"))
    path = str(exports / "swift/train.jsonl")
    train, _ = load_dataset([path], strict=True, remove_unused_columns=False)  # as its GRPO does
    return train


def test_its_preprocessor_keeps_every_row(exports: Path, rows: Any) -> None:
    written = [json.loads(line) for line in (exports / "swift/train.jsonl").read_text().splitlines()]
    assert len(rows) == len(written) == 5
    for row, made in zip(rows, written, strict=True):
        assert row["messages"] == made["messages"]
        assert row["images"][0]["path"] == made["images"][0]


def test_its_image_loader_finds_the_images(exports: Path, rows: Any) -> None:
    from swift.template.vision_utils import load_image

    assert load_image(rows[0]["images"][0]["path"]).size == (320, 240)


def test_the_plugin_registers_rewards_that_grade(rows: Any) -> None:
    runpy.run_path(str(ROOT / "examples/recipe/swift/plugin.py"))
    right = [row["answer"] for row in rows]
    said = [f"\\boxed{{{right[0]}}}", "\\boxed{-1}", *right[2:]]
    assert orms["hopchain_accuracy"]()(said, answer=right, solution=None) == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert orms["hopchain_format"]()(said, answer=right) == [1.0, 1.0, 0.0, 0.0, 0.0]
