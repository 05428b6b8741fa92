"""GRPO (or SAPO) with TRL 1.16 on a HopChain export.

    hopchain export set --format trl --out data --max-prompt-tokens 4096
    accelerate launch examples/trl/grpo.py

Not run on a GPU by this project: the sizes are starting values.
"""

import os

from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer

from hopchain_etl.training_set.rewards.trl import accuracy_reward, format_reward

data = load_dataset("parquet", data_files={"train": "data/train.parquet", "validation": "data/validation.parquet"})
config = GRPOConfig(
    output_dir="out",
    loss_type="sapo",  # the paper's optimiser; "grpo" for plain GRPO
    sapo_temperature_pos=1.0,
    sapo_temperature_neg=1.05,
    reward_weights=[1.0, 0.0],  # accuracy, format
    num_generations=8,  # samples per question: if all are correct or all are wrong, nothing is learned
    max_completion_length=8192,
    per_device_train_batch_size=8,
    gradient_accumulation_steps=8,
    learning_rate=1e-6,
    bf16=True,
    use_vllm=True,
)
GRPOTrainer(
    model=os.environ.get("MODEL", "Qwen/Qwen3-VL-8B-Instruct"),
    args=config,
    train_dataset=data["train"],
    eval_dataset=data["validation"],
    reward_funcs=[accuracy_reward, format_reward],
).train()
