"""verl 0.9: its data set, its length of a prompt, its reward manager and its batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hopchain_etl.training.preflight.checks import Opened, PreflightError, Prompt
from hopchain_etl.training_set.rewards.others import ungraded_answers

REWARD = "pkg://hopchain_etl.training_set.rewards.verl:compute_score"
_EXTRAS = ("process_weight",)  # of ours: a right answer that states no step would not score 1


class Verl:
    """verl with the model's processor and a reward (``path:function``, as in its configuration)."""

    name, suffix = "verl", ".parquet"

    def __init__(self, model: Path, reward: str | None = None, reward_kwargs: Mapping[str, Any] | None = None) -> None:
        try:
            from hydra import compose, initialize_config_module
            from omegaconf import OmegaConf
            from verl.trainer.ppo.reward import load_reward_manager
            from verl.utils import hf_processor, hf_tokenizer
        except ImportError as error:
            raise PreflightError(f"verl 0.9 cannot be imported here; run this in its environment: {error}") from error
        path, _, function = (reward or REWARD).rpartition(":")
        named = [f"reward.custom_reward_function.{key}={value}" for key, value in (("path", path), ("name", function))]
        # Prompts that are too long must not vanish: row numbers are those of the file, and the check names them.
        with initialize_config_module("verl.trainer.config", version_base=None):
            self.config = compose("ppo_trainer", [*named, "data.filter_overlong_prompts=False"])
        OmegaConf.set_struct(self.config, False)
        self.config.reward.custom_reward_function.reward_kwargs = {
            name: value
            for name, value in (reward_kwargs or {}).items()
            if reward not in (None, REWARD) or name not in _EXTRAS
        }
        self.tokenizer, self.processor = hf_tokenizer(str(model)), hf_processor(str(model))
        if self.processor is None:
            raise PreflightError(f"{model} has no processor for images: give the folder of a vision-language model")
        self.manager = load_reward_manager(self.config, self.tokenizer)

    def open(self, file: Path, max_pixels: int) -> Opened:
        return _Opened(self, file)


class _Opened:
    def __init__(self, trainer: Verl, file: Path) -> None:
        from verl.trainer.ppo.utils import create_rl_dataset

        self.trainer = trainer
        self.data = create_rl_dataset([str(file)], trainer.config.data, trainer.tokenizer, trainer.processor)
        self.row = lru_cache(maxsize=8)(self.data.__getitem__)

    def __len__(self) -> int:
        return len(self.data)

    def prompt(self, row: int) -> Prompt:
        """Return the length as verl's rollout has it: chat template, then the processor with the images."""
        from verl.utils.tokenizer import build_multimodal_processor_inputs

        messages, processor = self.row(row)["raw_prompt"], self.trainer.processor
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        images, videos, audios = asyncio.run(
            self.data.process_multi_modal_info(messages, self.data.image_patch_size, self.trainer.config.data)
        )
        inputs = build_multimodal_processor_inputs(processor, text=[text], images=images, videos=videos, audio=audios)
        tokens = inputs["input_ids"][0].tolist()
        return Prompt(len(tokens), tokens.count(processor.image_token_id))

    def scores(self, row: int, completions: Sequence[str]) -> list[float | None]:
        import numpy as np
        import torch
        from verl import DataProto

        one, manager = self.row(row), self.trainer.manager
        scores: list[float | None] = []
        for text in completions:
            ids = self.trainer.tokenizer(text, add_special_tokens=False)["input_ids"] or [
                self.trainer.tokenizer.eos_token_id
            ]
            # verl makes these columns arrays of objects, one value a row.
            columns = {
                name: np.fromiter([one[name]], dtype=object, count=1)
                for name in ("data_source", "reward_model", "extra_info")
            }
            tensors = {"responses": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
            data = DataProto.from_dict(tensors=tensors, non_tensors=columns)
            before = ungraded_answers()
            score = float(manager.loop.run_until_complete(manager.run_single(data))["reward_score"])
            scores.append(score if ungraded_answers() == before else None)
        return scores

    def collate(self, rows: Sequence[int]) -> None:
        from verl import DataProto
        from verl.utils.dataset.rl_dataset import collate_fn

        batch = DataProto.from_single_dict(collate_fn([self.row(row) for row in rows]))
        assert len(batch) == len(rows)
