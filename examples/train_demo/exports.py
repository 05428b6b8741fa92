"""The exports as the trainers read them, and as token ids and pixels for the warm start and for answering."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.train_demo import tiny_vlm
from examples.train_demo.plan import VARIANTS
from examples.train_demo.warm_start import Example, Pictures, prompt_ids

SPLITS = ("train", "validation")


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
        worked = json.loads((folder / "worked.json").read_text())
        asked = {prompt[0]["content"] for one in rows.values() for prompt in one["prompt"]}
        said = {text for some in worked.values() for text in some.values()}
        processor = tiny_vlm.processor(asked | said)
        made = cls(rows, processor, Pictures(processor), Pictures(processor, blank=True))
        for (variant, split), some in rows.items():
            made.examples[variant, split] = list(made._examples(some, worked[variant]))
        return made

    def _examples(self, rows: Any, worked: dict[str, str]) -> Iterator[Example]:
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
