"""TRL 1.16: ``datasets``, and what GRPOTrainer does with a prompt, its images and the reward functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from hopchain_etl.training.preflight.checks import Opened, PreflightError, Prompt, graders

_OURS = "hopchain_etl.training_set.rewards.trl"
REWARD = f"{_OURS}:accuracy_reward"
_EXTRAS = (f"{_OURS}:format_reward", f"{_OURS}:process_reward")


class Trl:
    """TRL with the model's processor and reward functions (``module:function``, several with commas)."""

    name, suffix = "TRL", ".parquet"

    def __init__(self, model: Path, reward: str | None = None, reward_kwargs: Mapping[str, Any] | None = None) -> None:
        try:
            import trl  # noqa: F401
            from transformers import AutoProcessor
        except ImportError as error:
            raise PreflightError(f"TRL cannot be imported here; run this in its environment: {error}") from error
        if reward_kwargs:
            raise PreflightError("TRL's reward functions take no options; name another function with --reward")
        self.processor = AutoProcessor.from_pretrained(str(model))
        if not hasattr(self.processor, "image_processor"):
            raise PreflightError(f"{model} has no processor for images: give the folder of a vision-language model")
        names = [name.strip() for name in (reward or REWARD).split(",")]
        self.rewards = [_function(name) for name in graders(names, REWARD, _EXTRAS)]

    def open(self, file: Path, max_pixels: int) -> Opened:
        return _Opened(self, file)


class _Opened:
    def __init__(self, trainer: Trl, file: Path) -> None:
        from datasets import load_dataset

        self.trainer = trainer
        self.data = load_dataset("parquet", data_files=str(file))["train"]
        self.row = lru_cache(maxsize=8)(self.data.__getitem__)

    def __len__(self) -> int:
        return len(self.data)

    def prompt(self, row: int) -> Prompt:
        tokens = self._tokenized([row])["input_ids"][0]
        return Prompt(len(tokens), list(tokens).count(self.trainer.processor.image_token_id))

    def scores(self, row: int, completions: Sequence[str]) -> list[float | None]:
        """Return the sum of the functions' rewards; a function that returns None is left out, as by the trainer."""
        one, count = self.row(row), len(completions)
        columns = {name: [value] * count for name, value in one.items() if name != "prompt"}
        replies = [[{"role": "assistant", "content": text}] for text in completions]
        tokenizer = self.trainer.processor.tokenizer
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in completions]
        given = [
            function(prompts=[one["prompt"]] * count, completions=replies, completion_ids=ids, **columns)
            for function in self.trainer.rewards
        ]
        told = [[score for score in scores if score is not None] for scores in zip(*given, strict=True)]
        return [float(sum(scores)) if scores else None for scores in told]

    def collate(self, rows: Sequence[int]) -> None:
        assert len(self._tokenized(rows)["input_ids"]) == len(rows)

    def _tokenized(self, rows: Sequence[int]) -> Any:
        """Return what GRPOTrainer makes of a batch before it generates."""
        from trl.data_utils import is_conversational, prepare_multimodal_messages

        examples = [self.row(row) for row in rows]
        if not is_conversational(examples[0]):
            raise ValueError("the prompt is no conversation, which GRPOTrainer needs for images")
        images = [example.get("images") for example in examples]
        prompts = [
            prepare_multimodal_messages(example["prompt"], images=pictures)
            for example, pictures in zip(examples, images, strict=True)
        ]
        return self.trainer.processor.apply_chat_template(
            conversation=prompts, add_generation_prompt=True, tokenize=True, return_dict=True
        )


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    try:
        found: Callable[..., Any] = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise PreflightError(f"--reward {name} is no module:function that can be imported: {error}") from error
    return found
