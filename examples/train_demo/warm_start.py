"""Examples as tensors, and the warm start: plain supervised training with the loss on the completion only."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

IGNORED = -100
# Shares of the variants in a batch: who cannot yet read the tile that a question names learns nothing from full ones.
EASY = {"full": 0.0, "half": 0.9, "single": 0.1}
ALL = {"full": 0.7, "half": 0.25, "single": 0.05}
EASY_SHARE = 0.25  # of the steps
WARM_UP = 30  # steps until the full learning rate
ASKED = 100  # questions on which the accuracy is taken during training
Row = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A question about a picture: its prompt and completion as token ids, and the place of its picture."""

    prompt: list[int]
    completion: list[int]
    picture: int


class Pictures:
    """The pixels of all pictures, as the processor gives them, each computed once; blank ones for the blind model."""

    def __init__(self, processor: Any, *, blank: bool = False) -> None:
        self._processor, self._blank = processor, blank
        self._places: dict[str, int] = {}
        self._pixels: list[Any] = []
        self.grid: Any = None

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def add(self, image_id: str, image: Any) -> None:
        """Read a new picture."""
        if self._blank:
            image = image.point(lambda _: 128)
        made = self._processor.image_processor([image], return_tensors="pt")
        self._places[image_id] = len(self._pixels)
        self._pixels.append(made["pixel_values"])
        self.grid = made["image_grid_thw"]

    def place(self, image_id: str) -> int:
        """Return the number of a picture."""
        return self._places[image_id]

    def batch(self, places: Sequence[int]) -> dict[str, Any]:
        """Return the model's inputs for these pictures."""
        pixels = torch.cat([self._pixels[place] for place in places])
        return {"pixel_values": pixels, "image_grid_thw": self.grid.expand(len(places), -1)}


def conversation(row: Row) -> list[Row]:
    """Return a row of the TRL export as one user turn with its picture."""
    text = row["prompt"][0]["content"]
    return [{"role": "user", "content": [{"type": "image", "image": row["images"][0]}, {"type": "text", "text": text}]}]


def prompt_ids(processor: Any, row: Row) -> list[int]:
    """Return a row's prompt as the trainer makes it: template, image tokens and the start of the answer."""
    how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
    return list(processor.apply_chat_template([conversation(row)], **how)["input_ids"][0])


def inputs(model: Any, examples: Sequence[Example], pictures: Pictures, pad: int) -> tuple[dict[str, Any], Any]:
    """Return a batch for the model, padded on the right, and its labels: the completion's tokens."""
    length = max(len(one.prompt) + len(one.completion) for one in examples)
    ids = torch.full((len(examples), length), pad)
    labels = torch.full((len(examples), length), IGNORED)
    mask = torch.zeros((len(examples), length), dtype=torch.long)
    for place, one in enumerate(examples):
        start, end = len(one.prompt), len(one.prompt) + len(one.completion)
        ids[place, :end] = torch.tensor(one.prompt + one.completion)
        labels[place, start:end] = torch.tensor(one.completion)
        mask[place, :end] = 1
    seen = pictures.batch([one.picture for one in examples])
    kinds = (ids == model.config.image_token_id).int()
    # All prompts begin with the picture, so positions are alike: those of one row hold for all.
    places, _ = model.model.get_rope_index(
        ids[:1], image_grid_thw=seen["image_grid_thw"][:1], mm_token_type_ids=kinds[:1]
    )
    places = places.expand(-1, len(examples), -1)
    batch = {"input_ids": ids, "attention_mask": mask, "position_ids": places, "mm_token_type_ids": kinds, **seen}
    return batch, labels


def warm_start(
    model: Any,
    examples: dict[str, list[Example]],
    pictures: Pictures,
    pad: int,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    looks: int,
    ask: Callable[[str, int], float],
    tell: Callable[[int, dict[str, float]], None],
) -> list[dict[str, float]]:
    """Train on batches that are mixed by ``EASY`` first, then by ``ALL``.

    Returns the loss by step, and ``looks`` times the accuracy by ``ask``.
    """
    chance = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
    curve: list[dict[str, float]] = []
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, step / WARM_UP, 0.1 + 1.8 * (1 - step / steps))
        shares = EASY if step <= EASY_SHARE * steps else ALL
        variants = chance.choices(list(shares), list(shares.values()), k=batch)
        made, labels = inputs(model, [chance.choice(examples[one]) for one in variants], pictures, pad)
        model.train()
        loss = loss_of(model, made, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        figures = {"loss": loss.item()}
        if step % max(1, steps // looks) == 0:
            figures |= {variant: ask(variant, ASKED) for variant in ALL}
        curve.append({"step": step, **figures})
        tell(step, figures)
    return curve


def loss_of(model: Any, batch: dict[str, Any], labels: Any) -> Any:
    """Return the mean cross-entropy of the completions' tokens."""
    hidden = model.model(**batch).last_hidden_state[:, :-1]
    asked = labels[:, 1:] != IGNORED
    return cross_entropy(model.lm_head(hidden[asked]), labels[:, 1:][asked])
