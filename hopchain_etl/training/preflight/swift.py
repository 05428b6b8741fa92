"""ms-swift 4.6: its loader and preprocessor, its template, and the rewards that a plugin registers."""

from __future__ import annotations

import json
import os
import runpy
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hopchain_etl.training.preflight.checks import Opened, PreflightError, Prompt, graders
from hopchain_etl.training.preflight.facts import lines_of

REWARD = "hopchain_accuracy"
_EXTRAS = ("hopchain_format", "hopchain_process")
_ROW = "preflight_row"


class Swift:
    """ms-swift with the model's template and rewards (``name``, or ``plugin.py:name``; several with commas)."""

    name, suffix = "ms-swift", ".jsonl"

    def __init__(self, model: Path, reward: str | None = None, reward_kwargs: Mapping[str, Any] | None = None) -> None:
        try:
            from swift.model import get_model_processor
            from swift.rewards import orms
            from swift.template import get_template
        except ImportError as error:
            raise PreflightError(f"ms-swift cannot be imported here; run this in its environment: {error}") from error
        if reward_kwargs:
            raise PreflightError("ms-swift's rewards take no options; name another with --reward plugin.py:name")
        import hopchain_etl.training_set.rewards.swift  # noqa: F401 - registers ours

        names = []
        for named in (reward or REWARD).split(","):
            plugin, _, name = named.strip().rpartition(":")
            if plugin:
                runpy.run_path(plugin)
            if name not in orms:
                raise PreflightError(f"ms-swift has no reward {name!r}; --reward plugin.py:name runs a plugin first")
            names.append(name)
        self.rewards = [orms[name](args=None) for name in graders(names, REWARD, _EXTRAS)]
        # The model without weights: in a run the template asks the model itself for the places of image tokens.
        dummy, self.processor = _loaded(get_model_processor, model)
        self.template = get_template(self.processor)
        self.template.dummy_model = dummy
        self.template.set_mode("train")

    def open(self, file: Path, max_pixels: int) -> Opened:
        return _Opened(self, file)


def _loaded(get_model_processor: Any, model: Path) -> Any:
    """Return the model and its processor. Of the kinds of model that a folder can be, it is what its config says."""
    import torch

    with torch.device("meta"):  # no memory for weights
        try:
            return get_model_processor(str(model), return_dummy_model=True)
        except ValueError:
            kind = json.loads((model / "config.json").read_text())["model_type"]
            return get_model_processor(str(model), return_dummy_model=True, model_type=kind)


class _Opened:
    """Rows that ms-swift's preprocessor drops are missing here: each line gets its number before."""

    def __init__(self, trainer: Swift, file: Path) -> None:
        from swift.dataset import load_dataset

        self.trainer = trainer
        os.environ.setdefault("ROOT_IMAGE_DIR", str(file.parent))
        with tempfile.TemporaryDirectory() as folder:
            numbered = Path(folder) / file.name
            with numbered.open("w", encoding="utf-8") as out:
                for number, row in lines_of(file):
                    out.write(json.dumps({**row, _ROW: number}, ensure_ascii=False) + "\n")
            self.data, _ = load_dataset([str(numbered)], remove_unused_columns=False)  # as its GRPO does
            self.places = {number: place for place, number in enumerate(self.data[_ROW])}
        self.row = lru_cache(maxsize=8)(lambda number: self.data[self.places[number]])

    def __len__(self) -> int:
        return len(self.data)

    def prompt(self, row: int) -> Prompt:
        if row not in self.places:
            raise ValueError("its preprocessor drops the row; its log says why")
        tokens = list(self._encoded(row)["input_ids"])
        return Prompt(len(tokens), tokens.count(self.trainer.processor.image_token_id))

    def scores(self, row: int, completions: Sequence[str]) -> list[float | None]:
        import torch
        from swift.rl_core.data import GRPOSample
        from swift.rl_core.grpo_algorithm import compute_rewards_per_func

        samples = []
        for text in completions:
            sample = GRPOSample.from_row(self.row(row))
            sample.messages = [*sample.messages, {"role": "assistant", "content": text}]
            samples.append(sample)
        rewards = self.trainer.rewards
        table = compute_rewards_per_func(samples, rewards, [None] * len(rewards), torch.device("cpu"))
        return [None if bool(one.isnan().all()) else float(one.nansum()) for one in table]

    def collate(self, rows: Sequence[int]) -> None:
        batch = self.trainer.template.data_collator([self._encoded(row) for row in rows])
        assert len(batch["input_ids"]) == len(rows)

    def _encoded(self, row: int) -> Any:
        return self.trainer.template.encode(dict(self.row(row)), return_length=True)
