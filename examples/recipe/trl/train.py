"""The train step with TRL 1.16, on an export or a mix in its format.

    MODEL_CLASS=8b ALGORITHM=sapo DATA=data RUN=runs/one accelerate launch examples/recipe/trl/train.py
    hopchain train watch runs/one --follow

For a mix name the reward of the other data as well, or its rows teach nothing: ``OTHERS=package.module:function``.
A model of 35B-A3B needs its parameters spread over all GPUs: ``accelerate launch --use_deepspeed --zero_stage 3
--zero3_init_flag true``. TRL has no dynamic sampling: watch the share of groups without variance, and stamp difficulty
anew when it is high. Not run on a GPU by this project; GRPOConfig takes each combination (make test-trainers), and the
sizes are starting values. [V] marks values that Video-HopChain publishes, [P] the HopChain paper's, [G] the GSPO
paper's (2507.18071).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hopchain_etl.training_set.rewards.others import reward_named
from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward

MODELS = {"8b": "Qwen/Qwen3-VL-8B-Instruct", "35b-a3b": "Qwen/Qwen3.5-35B-A3B"}
ALGORITHMS: dict[str, dict[str, Any]] = {
    "grpo": {"loss_type": "grpo", "importance_sampling_level": "token", "epsilon": 0.2, "epsilon_high": 0.3},  # [V]
    "gspo": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },  # [G]
    "sapo": {"loss_type": "sapo", "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05},  # [P]
}
SIZES: dict[str, dict[str, Any]] = {
    "8b": {"vllm_tensor_parallel_size": 2, "vllm_gpu_memory_utilization": 0.4},
    "35b-a3b": {
        "vllm_tensor_parallel_size": 8,
        "vllm_gpu_memory_utilization": 0.5,
        "vllm_enable_sleep_mode": True,
        "router_aux_loss_coef": 0.0,  # else TRL adds the model's own loss for balanced experts to the reward's
    },
}


def others() -> list[Callable[..., Any]]:
    """Return the reward of other data, ``OTHERS=module:function``, which returns None for our rows; empty if none."""
    return [reward_named(name)] if (name := os.environ.get("OTHERS")) else []


def options(model_class: str, algorithm: str, run: str) -> dict[str, Any]:
    """Return the arguments of GRPOConfig."""
    return {
        "output_dir": run,
        "reward_weights": [1.0, 0.0, *[1.0] * len(others())],  # accuracy, format, and of other data
        "num_generations": 8,  # [V] samples a question
        "max_completion_length": 16_384,  # [V]
        "vllm_max_model_length": 4096 + 16_384,  # with the limit of the export
        "learning_rate": 1e-6,  # [V]
        "warmup_steps": 25,  # [V]
        "lr_scheduler_type": "constant_with_warmup",
        "beta": 0.0,  # [V] no KL
        "shuffle_dataset": os.environ.get("SHUFFLE", "").lower() == "true",  # the order of the rows is the curriculum
        "per_device_train_batch_size": 1,  # completions, not questions
        "gradient_accumulation_steps": 64,
        "num_train_epochs": 1,
        "bf16": True,
        "use_vllm": True,
        "vllm_mode": "colocate",
        "eval_strategy": "steps",
        "eval_steps": 10,  # [V]
        "save_steps": 50,
        # What `hopchain train watch` reads: completions, the state in each checkpoint, and events in between.
        "log_completions": True,
        "log_multimodal": False,
        "num_completions_to_print": 1,
        "logging_steps": 1,
        "report_to": ["tensorboard"],
        **ALGORITHMS[algorithm],
        **SIZES[model_class],
    }


def accuracy(
    completions: list[Any], answer: list[Any], log_extra: Callable[[str, list[Any]], None], **columns: Any
) -> list[float | None]:
    """Grade, and write into the log of completions which question each answers; TRL logs evaluations there too."""
    for name in ("query_id", "band", "split"):
        if name in columns:
            log_extra(name, columns[name])
    log_extra("answer", answer)
    return accuracy_reward(completions, answer=answer, **columns)


def main() -> None:
    """Train, on from the last checkpoint if the run's folder has one."""
    from datasets import load_dataset
    from transformers.trainer_utils import get_last_checkpoint
    from trl import GRPOConfig, GRPOTrainer

    model_class, algorithm = os.environ.get("MODEL_CLASS", "8b"), os.environ.get("ALGORITHM", "sapo")
    data, run = os.environ.get("DATA", "data"), os.environ.get("RUN", "runs/trl")
    # One by one: read together, both must have the columns of the first, and a mix may have more than validation.
    rows = {name: load_dataset("parquet", data_files=f"{data}/{name}.parquet") for name in ("train", "validation")}
    trainer = GRPOTrainer(
        model=os.environ.get("MODEL", MODELS[model_class]),
        args=GRPOConfig(**options(model_class, algorithm, run)),
        train_dataset=rows["train"]["train"],
        eval_dataset=rows["validation"]["train"],
        reward_funcs=[accuracy, format_reward, *others()],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(run) if Path(run).is_dir() else None)
    trainer.save_state()
    trainer.save_model()


if __name__ == "__main__":
    main()
