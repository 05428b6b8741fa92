"""EasyR1's own data set reads the export, and its reward manager loads and calls the reward.

EasyR1 is not in a package registry, and its package is called verl, as the other one: `EASYR1` names a checkout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

CHECKOUT = os.environ.get("EASYR1", "")
if not CHECKOUT:
    pytest.skip("EASYR1 names no checkout of github.com/hiyouga/EasyR1", allow_module_level=True)
sys.path.insert(0, CHECKOUT)  # before any import of the other verl

from tensordict import TensorDict
from verl.protocol import DataProto
from verl.utils.dataset import RLHFDataset, collate_fn
from verl.workers.reward import AutoRewardManager, RewardConfig

from hopchain_etl.training_set.rewards import easyr1


def dataset(exports: Path, processor: Any, longest: int, **options: Any) -> RLHFDataset:
    # Without workers: a process that is forked after PyTorch has computed here may wait for its threads for ever.
    return RLHFDataset(
        str(exports / "easyr1/train.parquet"), processor.tokenizer, processor, prompt_key="problem",
        max_prompt_length=longest, filter_overlong_prompts_workers=None, **options,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)


def test_it_is_easyr1() -> None:
    assert Path(sys.modules["verl"].__file__ or "").is_relative_to(CHECKOUT)


def test_its_dataset_keeps_every_row_with_its_image(exports: Path, processor: Any) -> None:
    rows = dataset(exports, processor, 4096)
    written = pq.read_table(exports / "easyr1/train.parquet").to_pylist()
    assert len(rows) == len(written) == 5
    image = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    for row, made in zip(rows, written, strict=True):
        assert row["ground_truth"] == made["answer"]
        assert (row["input_ids"] == image).sum() == 80  # of 320 x 240 px
        assert row["multi_modal_data"]["images"][0]["bytes"] == made["images"][0]["bytes"]
        asked = processor.tokenizer.decode(row["input_ids"], skip_special_tokens=True)
        assert made["problem"].removeprefix("<image>") in asked
    batch = collate_fn([rows[0], rows[1]])
    assert list(batch["data_source"]) == ["hopchain/default"] * 2
    assert [len(json.loads(hops)) for hops in batch["hops"]] == [5, 5]
    joined = DataProto.concat([DataProto.from_single_dict(collate_fn([row])) for row in rows])
    assert len(joined) == 5


def test_its_filter_drops_what_is_too_long(exports: Path, processor: Any) -> None:
    assert len(dataset(exports, processor, 80)) == 0
    told = json.loads((exports / "easyr1/export.json").read_text())
    assert len(dataset(exports, processor, 4096)) == told["rows"] - 1  # one is of validation


def test_small_images_are_enlarged_unless_it_is_told_otherwise(exports: Path, processor: Any) -> None:
    """Its configuration enlarges to 512 x 512 px: such an image has more tokens than the export has counted."""
    image = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    counts = [
        int((dataset(exports, processor, 4096, min_pixels=least)[0]["input_ids"] == image).sum())
        for least in (65_536, 512 * 512)
    ]
    assert counts[0] == 80 < counts[1]


def test_its_reward_manager_loads_and_calls_the_reward(exports: Path, processor: Any) -> None:
    config = RewardConfig(
        reward_function=f"{easyr1.__file__}:compute_score",
        reward_function_kwargs={"format_weight": 0.1, "others": "support.other_rewards:choices"},
    )
    config.post_init()
    manager = AutoRewardManager(config, processor.tokenizer)
    gold = pq.read_table(exports / "easyr1/train.parquet", columns=["answer"])["answer"][0].as_py()
    said = [f"So \\boxed{{{gold}}}", "\\boxed{-1}", gold, "\\boxed{A", "\\boxed{A}", ""]
    right = [gold, gold, gold, gold, "A", "A"]
    scores, metrics = manager.compute_reward(responses(processor.tokenizer, said, right))
    assert scores.sum(dim=1).tolist() == pytest.approx([1.0, 0.1, 0.0, 0.0, 1.0, 0.0])
    assert {name: len(values) for name, values in metrics.items()} == {"overall": 6, "format": 6, "accuracy": 6}


def responses(tokenizer: Any, said: list[str], right: list[str]) -> DataProto:
    """Completions and ground truths as a rollout hands them to the reward manager."""
    tokens = [tokenizer(text)["input_ids"] or [tokenizer.eos_token_id] for text in said]
    longest = max(map(len, tokens))
    ids = torch.tensor([one + [tokenizer.pad_token_id] * (longest - len(one)) for one in tokens])
    mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in tokens])
    batch = TensorDict({"responses": ids, "response_mask": mask}, batch_size=[len(said)])
    return DataProto(batch=batch, non_tensor_batch={"ground_truth": np.array(right, dtype=object)})
