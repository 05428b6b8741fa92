"""TRL's GRPOTrainer takes the export as it is, two steps on a CPU, and rewards a right answer that was planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny
from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer

from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward


class Planting(GRPOTrainer):
    """A trainer whose model answers each prompt right in its first completion, and at random in the others."""

    answers: dict[str, str]

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        completions, *rest = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        asked = self.processing_class.tokenizer.batch_decode(prompt_ids)
        planted = list(completions)
        for place in range(0, len(planted), self.num_generations):
            answer = next(right for question, right in self.answers.items() if question in asked[place])
            planted[place] = self.processing_class.tokenizer(f"It is \\boxed{{{answer}}}.")["input_ids"]
        return (planted, *rest)


def test_two_steps_with_sapo_and_a_planted_answer(exports: Path, tmp_path: Path, processor: Any) -> None:
    rows = load_dataset("parquet", data_files=str(exports / "trl/train.parquet"), cache_dir=str(tmp_path))["train"]
    assert len(rows) == 5
    assert rows[0]["images"][0].size == (320, 240)
    config = GRPOConfig(
        output_dir=str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=2, num_generations=2,
        max_completion_length=16, loss_type="sapo", reward_weights=[0.9, 0.1], learning_rate=1e-3, logging_steps=1,
        report_to=[], use_cpu=True, bf16=False, save_strategy="no", seed=1,
    )  # fmt: skip
    trainer = Planting(
        model=tiny.model(processor), processing_class=processor, args=config, train_dataset=rows,
        reward_funcs=[accuracy_reward, format_reward],
    )  # fmt: skip
    trainer.answers = {row["prompt"][0]["content"]: row["answer"] for row in rows}
    trainer.train()
    steps = [log for log in trainer.state.log_history if "reward" in log]
    assert len(steps) == 2
    for step in steps:
        assert step["rewards/accuracy_reward/mean"] == 0.5  # one of two completions was right
        assert step["reward"] > 0
        assert step["grad_norm"] > 0
