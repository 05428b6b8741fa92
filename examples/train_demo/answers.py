"""Greedy answers of a model to held-out questions, as a file that `hopchain evaluate run --answers` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from examples.train_demo.reinforce import LONGEST
from examples.train_demo.warm_start import Example, Pictures
from hopchain_etl.training_set.rewards import grade

_TOGETHER = 200  # questions


def answer(model: Any, processor: Any, examples: Sequence[Example], pictures: Pictures) -> list[str]:
    """Return the model's most probable completion of each prompt, as text."""
    tokenizer, said = processor.tokenizer, list[str]()
    model.eval()
    for start in range(0, len(examples), _TOGETHER):
        asked = examples[start : start + _TOGETHER]
        batch = tokenizer.pad({"input_ids": [one.prompt for one in asked]}, padding_side="left", return_tensors="pt")
        batch["mm_token_type_ids"] = (batch["input_ids"] == model.config.image_token_id).int()
        seen = pictures.batch([one.picture for one in asked])
        with torch.no_grad():
            ids = model.generate(**batch, **seen, max_new_tokens=LONGEST, do_sample=False)
        said += tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return said


def right(said: Sequence[str], gold: Sequence[str]) -> list[int]:
    """Return 1 for each right answer, else 0, by the grader of the rewards."""
    return [int(grade(text, answer).correct) for text, answer in zip(said, gold, strict=True)]


def write_answers(file: Path, ids: Sequence[str], said: Sequence[str]) -> None:
    """Write answers as JSON lines with ``item_id`` and ``text``."""
    lines = (json.dumps({"item_id": item, "text": text}) + "\n" for item, text in zip(ids, said, strict=True))
    file.write_text("".join(lines))
