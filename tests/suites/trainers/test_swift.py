"""ms-swift's loader and preprocessor take the export, its template encodes it, and its rewards are registered."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from swift.dataset import load_dataset
from swift.rewards import orms
from swift.rl_core.data import GRPOSample
from swift.rl_core.grpo_algorithm import score_completions

import hopchain_etl.training_set.rewards.swift  # noqa: F401 - registers the rewards

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


def test_its_own_scoring_takes_a_mixed_batch_and_null_text(exports: Path, rows: Any) -> None:
    """As its GRPO does: the columns of each row, whatever they are, become keyword lists; None becomes NaN."""
    told = [json.loads(line) for line in (exports / "sft-jsonl/train.jsonl").read_text().splitlines()]
    text = {row["query_id"]: row["messages"][1]["content"] for row in told}
    samples = [sample(row, text[row["query_id"]]) for row in rows]
    samples += [sample({**rows[0]}, None), sample({"messages": [], "solution": "A", "answer": "A"}, "\\boxed{A}"),
                sample({"messages": [], "data_source": "geometry3k", "answer": "7"}, "\\boxed{7}")]  # fmt: skip
    functions = [orms[f"hopchain_{name}"]() for name in ("accuracy", "format", "process")]
    scored = score_completions(samples, functions, [None] * 3, use_gym_env=False, device=torch.device("cpu"))
    assert scored[:5].tolist() == [[1.0, 1.0, 1.0]] * 5
    assert scored[5].tolist() == [0.0, 0.0, 0.0]
    assert scored[6:].isnan().all()
    alone = score_completions(samples[6:7], functions[:1], [None], use_gym_env=False, device=torch.device("cpu"))
    assert alone.isnan().all()


def sample(row: dict[str, Any], said: str | None) -> Any:
    """A completion as its rollout hands it to the rewards."""
    turns = [*row["messages"], {"role": "assistant", "content": said}]
    return GRPOSample.from_row({**row, "messages": turns})


def test_a_cold_start_passes_its_preprocessor(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(exports / "sft-jsonl"))
    told, _ = load_dataset([str(exports / "sft-jsonl/train.jsonl")], strict=True)
    written = [json.loads(line) for line in (exports / "sft-jsonl/train.jsonl").read_text().splitlines()]
    assert [row["messages"] for row in told] == [row["messages"] for row in written]
    assert len(told) == 5
