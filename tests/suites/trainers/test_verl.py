"""verl's own data set reads the export, and its reward loader finds and calls the reward."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
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
    score = loaded(format_weight=0.1)
    row = pq.read_table(exports / "verl/train.parquet").to_pylist()[0]
    gold = row["reward_model"]["ground_truth"]
    given = {"data_source": row["data_source"], "ground_truth": gold, "extra_info": row["extra_info"]}
    assert score(solution_str=f"So \\boxed{{{gold}}}", **given)["score"] == 1.0
    assert score(solution_str="\\boxed{-1}", **given)["score"] == 0.1
    assert score(solution_str=gold, **given)["score"] == 0.0


def loaded(**reward_kwargs: Any) -> Any:
    """The reward as verl's loader makes it from a configuration."""
    path = "pkg://hopchain_etl.training_set.rewards.verl"
    at = {"path": path, "name": "compute_score", "reward_kwargs": reward_kwargs}
    score = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": at}}))
    assert score is not None
    return score


def test_a_mixed_batch_passes_its_reward_manager_and_joins(exports: Path, processor: Any) -> None:
    """As the agent loop does: every row through the manager, then one array for each key of the first row."""
    ours = pq.read_table(exports / "verl/train.parquet").to_pylist()[0]
    gold = ours["reward_model"]["ground_truth"]
    rows = [
        (ours["data_source"], gold, f"So \\boxed{{{gold}}}", ours["extra_info"]),
        ("openai/gsm8k", "72", "#### 72", {}),  # verl's own reward knows it
        ("hiyouga/geometry3k", "A", "\\boxed{A}", {}),  # and this one, but it imports a package that verl does not need
        ("nobody/knows", "A", "\\boxed{A}", {}),
        (None, "A", "\\boxed{A}", {}),
        ("hopchain/default", "A", "\\boxed{A}", {}),
    ]
    results = [manage(loaded(process_weight=0.5), processor.tokenizer, *row) for row in rows]
    assert [round(one["reward_score"], 3) for one in results] == [0.5, 1.0, 0.0, 0.0, 0.0, 0.0]
    infos = [one["reward_extra_info"] for one in results]
    assert {key: len([info[key] for info in infos]) for key in infos[0]} == dict.fromkeys(infos[0], 6)
    assert {frozenset(info) for info in infos} == {frozenset({"score", "acc", "format", "process"})}


def test_other_data_goes_to_the_reward_that_is_named(processor: Any) -> None:
    score = loaded(others="support.other_rewards:choice")
    assert manage(score, processor.tokenizer, "nobody/knows", "A", "(A)", {})["reward_score"] == 1.0
    with pytest.raises(ValueError, match="others="):
        manage(loaded(others="nowhere:score"), processor.tokenizer, "hopchain/default", "7", "7", {})


def test_the_process_is_graded_from_what_its_dataset_hands_over(exports: Path, tmp_path: Path, processor: Any) -> None:
    told = {
        row["query_id"]: row["messages"][1]["content"]
        for row in pq.read_table(exports / "sft/train.parquet").to_pylist()
    }
    for row in dataset(exports, tmp_path, processor, 4096):
        given = (row["data_source"], row["reward_model"]["ground_truth"])
        text, facts = told[row["extra_info"]["query_id"]], row["extra_info"]
        result = manage(loaded(process_weight=0.5), processor.tokenizer, *given, text, facts)
        assert (result["reward_score"], result["reward_extra_info"]["process"]) == (1.0, 1.0)


def manage(
    score: Any, tokenizer: Any, source: str | None, gold: str, said: str, facts: dict[str, Any]
) -> dict[str, Any]:
    """One completion through verl's reward manager."""
    ids = torch.tensor([tokenizer(said)["input_ids"]])
    batch = {"prompts": ids, "responses": ids, "attention_mask": torch.ones(1, 2 * ids.shape[1], dtype=torch.long)}
    extra = {"data_source": source, "reward_model": {"ground_truth": gold}, "extra_info": dict(facts)}
    row = DataProto.from_dict(batch, {name: np.array([value], dtype=object) for name, value in extra.items()})

    async def run() -> Any:
        return await NaiveRewardManager(OmegaConf.create({}), tokenizer, score).run_single(row)

    return asyncio.run(run())
