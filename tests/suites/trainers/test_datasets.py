"""What docs/using-releases.md shows for Hugging Face's `datasets`, run on pulled files as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

PAGE = (Path(__file__).parents[3] / "docs/using-releases.md").read_text(encoding="utf-8")
SPLITS = {"train": 5, "validation": 1}


def test_the_pages_lines_load_rows_and_images(exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "load_dataset" in text]
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.chdir(exports)
    said: dict[str, Any] = {}
    exec(compile(block, "using-releases.md", "exec"), said)
    assert {name: len(split) for name, split in said["rows"].items()} == SPLITS
    photos = {photo["image_id"]: photo for photo in said["images"]}
    for row in said["rows"]["train"]:
        assert row["prompt"].startswith(row["question"])
        assert row["hops"][0]["rel"]
        assert photos[row["image_id"]]["bytes"].startswith(b"\x89PNG")


def test_the_cards_header_names_the_splits(exports: Path, tmp_path: Path) -> None:
    rows = load_dataset(str(exports / "set/training_set/default"), cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in rows.items()} == SPLITS
