"""verl's own data set reads the export, and its reward loader finds and calls the reward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import OmegaConf
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn


def dataset(exports: Path, cache: Path, processor: Any, longest: int) -> RLHFDataset:
    config = OmegaConf.create(
        {"cache_dir": str(cache), "max_prompt_length": longest, "filter_overlong_prompts_workers": 1}
    )
    return RLHFDataset([str(exports / "verl/train.parquet")], processor.tokenizer, config, processor)


def test_its_dataset_keeps_every_row_with_its_image(exports: Path, tmp_path: Path, processor: Any) -> None:
    rows = dataset(exports, tmp_path, processor, 4096)
    written = pq.read_table(exports / "verl/train.parquet").to_pylist()
    assert len(rows) == len(written) == 5  # the byte tokenizer is longer than any real one: none was cut
    for row, made in zip(rows, written, strict=True):
        (message,) = row["raw_prompt"]
        assert [part["type"] for part in message["content"]] == ["image", "text"]
        assert message["content"][0]["image"].size == (320, 240)
        assert made["prompt"][0]["content"] == f"<image>{message['content'][1]['text']}"
        assert row["reward_model"]["ground_truth"] == made["reward_model"]["ground_truth"]
        assert row["index"] == made["extra_info"]["index"]
    batch = collate_fn([rows[0], rows[1]])
    assert list(batch["data_source"]) == ["hopchain/default"] * 2


def test_its_own_length_is_at_most_what_the_export_says(exports: Path, tmp_path: Path, processor: Any) -> None:
    """Text and image together, by verl's filter: nothing is left at the image's tokens, everything at the bound."""
    image = 80  # of 320 x 240 px
    assert len(dataset(exports, tmp_path, processor, image)) == 0
    text = max(len(row["prompt"][0]["content"]) for row in pq.read_table(exports / "verl/train.parquet").to_pylist())
    assert len(dataset(exports, tmp_path, processor, image + text + 64)) == 5
    assert json.loads((exports / "verl/export.json").read_text())["longest_prompt"] <= 4096


def test_its_reward_loader_finds_and_calls_the_reward(exports: Path) -> None:
    at = {
        "path": "pkg://hopchain_etl.training_set.rewards.verl",
        "name": "compute_score",
        "reward_kwargs": {"format_weight": 0.1},
    }
    score = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": at}}))
    assert score is not None
    row = pq.read_table(exports / "verl/train.parquet").to_pylist()[0]
    gold = row["reward_model"]["ground_truth"]
    given = {"data_source": row["data_source"], "ground_truth": gold, "extra_info": row["extra_info"]}
    assert score(solution_str=f"So \\boxed{{{gold}}}", **given)["score"] == 1.0
    assert score(solution_str="\\boxed{-1}", **given)["score"] == 0.1
    assert score(solution_str=gold, **given)["score"] == 0.0
