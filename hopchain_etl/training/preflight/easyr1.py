"""EasyR1: its data set, its batches and its reward manager. It installs as another ``verl``, of version 0.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hopchain_etl.imaging.vision_tokens import MIN_PIXELS
from hopchain_etl.training.preflight.checks import Opened, PreflightError, Prompt
from hopchain_etl.training_set.rewards.others import ungraded_answers

_LONGEST = 65_536  # tokens that its data set pads to here, so that lengths are known; it raises beyond


class EasyR1:
    """EasyR1 with the model's processor and a reward (``file.py:function``)."""

    name, suffix = "EasyR1", ".parquet"

    def __init__(self, model: Path, reward: str | None = None, reward_kwargs: Mapping[str, Any] | None = None) -> None:
        try:
            from verl.utils.dataset import RLHFDataset, collate_fn
            from verl.utils.tokenizer import get_processor, get_tokenizer
            from verl.workers.reward.config import RewardConfig
            from verl.workers.reward.function import AutoRewardManager
        except ImportError as error:
            raise PreflightError(f"EasyR1 cannot be imported here; run this in its environment: {error}") from error
        self.dataset, self.collate_fn = RLHFDataset, collate_fn
        self.tokenizer, self.processor = get_tokenizer(str(model)), get_processor(str(model))
        if self.processor is None:
            raise PreflightError(f"{model} has no processor for images: give the folder of a vision-language model")
        ours = find_spec("hopchain_etl.training_set.rewards.easyr1")
        if reward is None and ours is None:
            raise PreflightError("this version has no reward for EasyR1; name one with --reward file.py:function")
        config = RewardConfig(reward or f"{ours.origin if ours else ''}:compute_score", dict(reward_kwargs or {}))
        config.post_init()
        self.manager = AutoRewardManager(config, self.tokenizer)

    def open(self, file: Path, max_pixels: int) -> Opened:
        return _Opened(self, file, max_pixels)


class _Opened:
    def __init__(self, trainer: EasyR1, file: Path, max_pixels: int) -> None:
        self.trainer = trainer
        self.data = trainer.dataset(
            str(file), trainer.tokenizer, trainer.processor, prompt_key="problem", answer_key="answer",
            image_key="images", max_prompt_length=_LONGEST, filter_overlong_prompts=False,
            min_pixels=MIN_PIXELS, max_pixels=max_pixels,  # as examples/recipe/easyr1/train.sh sets them
        )  # fmt: skip
        self.row = lru_cache(maxsize=8)(self.data.__getitem__)

    def __len__(self) -> int:
        return len(self.data)

    def prompt(self, row: int) -> Prompt:
        one = self.row(row)
        images = int((one["input_ids"] == self.trainer.processor.image_token_id).sum())
        return Prompt(int(one["attention_mask"].sum()), images)

    def scores(self, row: int, completions: Sequence[str]) -> list[float | None]:
        import numpy as np
        import torch
        from verl.protocol import DataProto

        tokenizer = self.trainer.tokenizer
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] or [tokenizer.eos_token_id]
               for text in completions]  # fmt: skip
        width = max(map(len, ids))
        mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in ids])
        padded = torch.tensor([one + [tokenizer.pad_token_id] * (width - len(one)) for one in ids])
        gold = np.array([self.row(row)["ground_truth"]] * len(ids), dtype=object)
        data = DataProto.from_dict(
            tensors={"responses": padded, "response_mask": mask}, non_tensors={"ground_truth": gold}
        )
        before = ungraded_answers()
        rewards, _ = self.trainer.manager.compute_reward(data)
        known = ungraded_answers() == before  # by their ground truth, which is one here
        return [float(one.sum()) if known else None for one in rewards]

    def collate(self, rows: Sequence[int]) -> None:
        from verl.protocol import DataProto

        batch = DataProto.from_single_dict(self.trainer.collate_fn([self.row(row) for row in rows]))
        assert len(batch) == len(rows)
