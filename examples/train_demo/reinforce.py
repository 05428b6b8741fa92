"""SAPO with TRL's GRPOTrainer on the export as it is, with our reward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward

SAMPLES = 8  # completions of a question
LONGEST = 12  # tokens of a completion


class Told(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Calls ``tell`` with each step and its logged figures."""

    def __init__(self, tell: Callable[[int, dict[str, float]], None]) -> None:
        self._tell = tell

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "reward" in logs:
            self._tell(state.global_step, logs)


def reinforce(
    model: Any,
    processor: Any,
    rows: Any,
    folder: Path,
    *,
    steps: int,
    questions: int,
    rate: float,
    seed: int,
    tell: Callable[[int, dict[str, float]], None],
) -> list[dict[str, float]]:
    """Train ``model`` on a TRL export's rows, ``questions`` a step, each answered several times; return TRL's log."""
    config = GRPOConfig(
        output_dir=str(folder),
        loss_type="sapo",
        sapo_temperature_pos=1.0,
        sapo_temperature_neg=1.05,
        reward_weights=[1.0, 0.0],  # accuracy; the format is logged only
        num_generations=SAMPLES,
        per_device_train_batch_size=questions * SAMPLES,
        max_completion_length=LONGEST,
        max_steps=steps,
        learning_rate=rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=min(5, steps),
        max_grad_norm=1.0,
        temperature=1.0,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        seed=seed,
    )
    trainer = GRPOTrainer(
        model=model, processing_class=processor, args=config, train_dataset=rows,
        reward_funcs=[accuracy_reward, format_reward], callbacks=[Told(tell)],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return [log for log in trainer.state.log_history if "reward" in log]
