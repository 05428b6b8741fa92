"""What is trained for one seed: the warm start, the blind model, and reinforcement on one variant of the questions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from examples.train_demo import tiny_vlm
from examples.train_demo.answers import answer, right, write_answers
from examples.train_demo.plan import Plan
from examples.train_demo.reinforce import reinforce
from examples.train_demo.warm_start import Example, Pictures, prompt_ids, warm_start

VARIANTS = ("full", "half", "single")
SPLITS = ("train", "validation")
Row = dict[str, Any]


@dataclass
class Exports:
    """The exports of the three variants, and their examples as token ids with the pictures' pixels."""

    rows: dict[tuple[str, str], Any]  # by variant and split: what `datasets` gives
    processor: Any
    pictures: Pictures
    blank: Pictures
    examples: dict[tuple[str, str], list[Example]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Exports:
        """Return the exports below the folder of a plan."""
        from datasets import load_dataset

        rows = {}
        for variant in VARIANTS:
            files = {split: str(folder / "exports" / variant / f"{split}.parquet") for split in SPLITS}
            loaded = load_dataset("parquet", data_files=files, cache_dir=str(folder / "cache"))
            rows |= {(variant, split): loaded[split] for split in SPLITS}
        processor = tiny_vlm.processor(prompt[0]["content"] for one in rows.values() for prompt in one["prompt"])
        made = cls(rows, processor, Pictures(processor), Pictures(processor, blank=True))
        worked = json.loads((folder / "worked.json").read_text())
        for (variant, split), some in rows.items():
            made.examples[variant, split] = list(made._examples(some, worked[variant]))
        return made

    def _examples(self, rows: Any, worked: dict[str, str]) -> Any:
        tokenizer, prompts = self.processor.tokenizer, dict[str, list[int]]()
        for place, row in enumerate(rows.remove_columns("images")):
            text, image_id = row["prompt"][0]["content"], row["image_id"]
            if text not in prompts:
                prompts[text] = prompt_ids(self.processor, rows[place])
            if image_id not in self.pictures:
                for pictures in (self.pictures, self.blank):
                    pictures.add(image_id, rows[place]["images"][0])
            completion = [*tokenizer(worked[row["query_id"]])["input_ids"], tokenizer.eos_token_id]
            yield Example(prompts[text], completion, self.pictures.place(image_id))


@dataclass(frozen=True)
class Job:
    """One training run of one seed, in a process of its own; its results are ``<name>.json``."""

    kind: str  # warm, blind, or the variant that is reinforced
    seed: int
    plan: Plan

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.seed}"

    @property
    def done(self) -> bool:
        return self._file("json").exists()

    @property
    def ready(self) -> bool:
        """Whether what it starts from is there."""
        return self.kind in ("warm", "blind") or Job("warm", self.seed, self.plan).done

    def run(self, exports: Exports) -> None:
        """Train, answer the held-out questions, and write the curve, the answers and what was right."""
        plan = self.plan
        model, started = tiny_vlm.model(exports.processor, self.seed), time.monotonic()
        pictures = exports.blank if self.kind == "blind" else exports.pictures
        if self.kind in ("warm", "blind"):
            examples = {variant: exports.examples[variant, "train"] for variant in VARIANTS}
            steps = plan.warm_steps if self.kind == "warm" else plan.blind_steps
            ask = partial(self._share_right, exports, pictures, model)
            curve = warm_start(
                model, examples, pictures, exports.processor.tokenizer.pad_token_id, steps=steps, batch=plan.batch,
                rate=plan.warm_rate, seed=self.seed, ask=ask, tell=self._tell(steps),
            )  # fmt: skip
        else:
            model.load_state_dict(torch.load(Job("warm", self.seed, plan)._file("pt")))
            tell = self._tell(plan.reinforce_steps)
            curve = reinforce(
                model, exports.processor, exports.rows[self.kind, "train"], plan.folder / "trainer" / self.name,
                steps=plan.reinforce_steps, questions=plan.questions, rate=plan.reinforce_rate, seed=self.seed,
                tell=lambda step, log: tell(step, {name: log[name] for name in ("reward", "entropy")}),
            )  # fmt: skip
        self._write(exports, model, pictures, curve, time.monotonic() - started)

    def _file(self, suffix: str) -> Path:
        return self.plan.folder / "results" / f"{self.name}.{suffix}"

    def _tell(self, steps: int) -> Callable[[int, dict[str, float]], None]:
        started = time.monotonic()

        def tell(step: int, figures: dict[str, float]) -> None:
            if step % max(1, steps // 20) == 0:
                left = (time.monotonic() - started) / step * (steps - step)
                told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
                print(f"{self.name:>9} step {step}/{steps}: {told}; {left:.0f} s left", flush=True)

        return tell

    def _share_right(self, exports: Exports, pictures: Pictures, model: Any, variant: str, most: int) -> float:
        """Return the accuracy on the first held-out questions of a variant."""
        gold = exports.rows[variant, "validation"]["answer"][:most]
        said = answer(model, exports.processor, exports.examples[variant, "validation"][:most], pictures)
        return sum(right(said, gold)) / len(said)

    def _write(self, exports: Exports, model: Any, pictures: Pictures, curve: list[Row], seconds: float) -> None:
        rows = exports.rows["full", "validation"]
        said = answer(model, exports.processor, exports.examples["full", "validation"], pictures)
        correct = right(said, rows["answer"])
        write_answers(self._file("jsonl"), rows["query_id"], said)
        torch.save(model.state_dict(), self._file("pt"))
        facts = {"seconds": round(seconds), "accuracy": sum(correct) / len(correct), "right": correct, "curve": curve}
        draft = self._file("draft")
        draft.write_text(json.dumps(facts))
        draft.rename(self._file("json"))  # last: a job counts as done when this is there
        print(f"{self.name:>9} done: {facts['accuracy']:.3f} of held-out questions right, {seconds:.0f} s", flush=True)
