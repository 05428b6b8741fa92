"""TRL's trainers take the exports for a step or two on a CPU, and reward a right answer that was planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
from datasets import Dataset, concatenate_datasets, load_dataset
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward, process_reward


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


def choice_reward(completions: list[Any], data_source: list[str], answer: list[str], **_: Any) -> list[float | None]:
    """A reward of other data, by TRL's convention for several tasks: None for rows that are not its own."""
    rows = zip(completions, data_source, answer, strict=True)
    return [float(right in said[0]["content"]) if source == "choices" else None for said, source, right in rows]


@pytest.fixture(scope="module")
def rows(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The export, with a row of other data that has none of its facts."""
    cache = str(tmp_path_factory.mktemp("cache"))
    ours = load_dataset("parquet", data_files=str(exports / "trl/train.parquet"), cache_dir=cache)["train"]
    other = {"prompt": ours[0]["prompt"], "images": ours[0]["images"], "answer": "A", "data_source": "choices"}
    names = ("prompt", "images", "answer", "data_source")
    features = ours.features.__class__({name: ours.features[name] for name in names})
    return concatenate_datasets([ours, Dataset.from_list([other], features=features)])


@pytest.fixture(scope="module")
def trainer(rows: Any, tmp_path_factory: pytest.TempPathFactory, processor: Any) -> Planting:
    config = GRPOConfig(
        output_dir=str(tmp_path_factory.mktemp("out")), max_steps=2, per_device_train_batch_size=2, num_generations=2,
        max_completion_length=16, loss_type="sapo", reward_weights=[0.8, 0.1, 0.1, 1.0], learning_rate=1e-3,
        logging_steps=1, report_to=[], use_cpu=True, bf16=False, save_strategy="no", seed=1,
    )  # fmt: skip
    made = Planting(
        model=tiny.model(processor), processing_class=processor, args=config, train_dataset=rows.select(range(5)),
        reward_funcs=[accuracy_reward, format_reward, process_reward, choice_reward],
    )  # fmt: skip
    made.answers = {row["prompt"][0]["content"]: row["answer"] for row in rows.select(range(5))}
    return made


def test_two_steps_with_sapo_and_a_planted_answer(rows: Any, trainer: Planting) -> None:
    assert len(rows) == 6
    assert rows[0]["images"][0].size == (320, 240)
    trainer.train()
    steps = [log for log in trainer.state.log_history if "reward" in log]
    assert len(steps) == 2
    for step in steps:
        assert step["rewards/accuracy_reward/mean"] == 0.5  # one of two completions was right
        assert step["reward"] > 0
        assert step["grad_norm"] > 0


def test_its_own_scoring_takes_a_mixed_batch_and_null_text(exports: Path, rows: Any, trainer: Planting) -> None:
    told = load_dataset("parquet", data_files=str(exports / "sft/train.parquet"), streaming=True)["train"]
    texts = {row["query_id"]: row["messages"][1]["content"] for row in told}
    contents = [texts[rows[0]["query_id"]], [{"type": "text", "text": None}], None, "\\boxed{A}"]
    inputs = [rows[0], rows[1], rows[2], rows[5]]
    completions = [[{"role": "assistant", "content": content}] for content in contents]
    prompts = [row["prompt"] for row in inputs]
    scored = trainer._calculate_rewards(inputs, prompts, completions, [[1]] * 4)
    assert scored[0, :3].tolist() == [1.0, 1.0, 1.0]
    assert scored[1:3, :3].tolist() == [[0.0] * 3] * 2
    assert scored[:3, 3].isnan().all()
    assert scored[3, :3].isnan().all()
    assert scored[3, 3] == 1.0


def test_a_cold_start_is_a_step_of_its_sft_trainer(exports: Path, tmp_path: Path, processor: Any) -> None:
    told = load_dataset("parquet", data_files=str(exports / "sft/train.parquet"), cache_dir=str(tmp_path))["train"]
    config = SFTConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, max_length=None, report_to=[],
        use_cpu=True, bf16=False, save_strategy="no", logging_steps=1, seed=1,
    )  # fmt: skip
    trainer = SFTTrainer(model=tiny.model(processor), processing_class=processor, args=config, train_dataset=told)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] > 0
    (batch,) = [trainer.data_collator([told[0]])]
    text = processor.tokenizer.decode(batch["input_ids"][0])
    assert told[0]["messages"][1]["content"] in text
    assert batch["pixel_values"].shape[0] == 320  # patches of 16 px: 80 tokens of 2 x 2
