#!/usr/bin/env bash
# GRPO (or SAPO) with verl 0.9 on a HopChain export:
#   hopchain export set --format verl --out data --max-prompt-tokens 4096
# Not run on a GPU by this project: the sizes are starting values, the names are those of verl 0.9.1.
set -euo pipefail

options=(
    algorithm.adv_estimator=grpo
    # SAPO, the paper's optimiser: soft gates of temperature 1.0 and 1.05. Leave these three out for plain GRPO.
    actor_rollout_ref.actor.policy_loss.loss_mode=sapo
    actor_rollout_ref.actor.tau_pos=1.0
    actor_rollout_ref.actor.tau_neg=1.05

    data.train_files=data/train.parquet
    data.val_files=data/validation.parquet
    data.max_prompt_length=4096   # the limit of the export, image tokens included
    data.max_response_length=8192
    data.image_key=images
    data.shuffle=True
    data.train_batch_size=128

    actor_rollout_ref.model.path="${MODEL:-Qwen/Qwen3-VL-8B-Instruct}"
    actor_rollout_ref.actor.optim.lr=1e-6
    actor_rollout_ref.actor.ppo_mini_batch_size=64
    actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=2
    actor_rollout_ref.rollout.name=vllm
    actor_rollout_ref.rollout.n=8 # samples per question: if all are correct or all are wrong, nothing is learned
    actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4

    # The reward compares exactly, and only the declared answer. A wrong number in \boxed{} gets the format weight.
    reward.custom_reward_function.path=pkg://hopchain_etl.training_set.rewards.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.format_weight=0.0

    trainer.n_gpus_per_node=8
    trainer.nnodes=1
    trainer.total_epochs=2
    trainer.logger='[console]'
)
python -m verl.trainer.main_ppo "${options[@]}" "$@"
