#!/usr/bin/env bash
# GRPO (or SAPO) with ms-swift 4.6 on a HopChain export:
#   hopchain export set --format swift --out data --max-prompt-tokens 4096
# Not run on a GPU by this project: the sizes are starting values, the names are those of ms-swift 4.6.0.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

options=(
    --rlhf_type grpo
    --loss_type sapo # the paper's optimiser, with the two temperatures below; grpo for plain GRPO
    --tau_pos 1.0
    --tau_neg 1.05
    --model "${MODEL:-Qwen/Qwen3-VL-8B-Instruct}"
    --dataset data/train.jsonl
    --val_dataset data/validation.jsonl
    --external_plugins "$here/plugin.py" # registers the rewards
    --reward_funcs hopchain_accuracy hopchain_format
    --reward_weights 1.0 0.0
    --num_generations 8 # samples per question: if all are correct or all are wrong, nothing is learned
    --max_length 4096   # the limit of the export, image tokens included
    --max_completion_length 8192
    --per_device_train_batch_size 8
    --learning_rate 1e-6
    --torch_dtype bfloat16
    --use_vllm true
    --output_dir out
)
# Paths in the export are relative to its folder.
ROOT_IMAGE_DIR=data swift rlhf "${options[@]}" "$@"
