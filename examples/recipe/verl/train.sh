#!/usr/bin/env bash
# The train step with verl 0.9, on an export or a mix in verl's format:
#   MODEL_CLASS=8b ALGORITHM=sapo DATA=data RUN=runs/one examples/recipe/verl/train.sh [verl options]
#   hopchain train watch runs/one --export data --follow
# Not run on a GPU by this project: verl 0.9.1 composes each combination (make test-trainers), and the sizes are starting
# values. [V] marks values that Video-HopChain publishes, [P] the HopChain paper's, [G] the GSPO paper's (2507.18071).
set -euo pipefail
MODEL_CLASS=${MODEL_CLASS:-8b} # 8b (Qwen3-VL-8B) or 35b-a3b (Qwen3.5-35B-A3B, a mixture of experts)
ALGORITHM=${ALGORITHM:-sapo}   # grpo, gspo or sapo
DATA=$(realpath -m "${DATA:-data}") RUN=$(realpath -m "${RUN:-runs/verl}") GPUS=${GPUS:-8} NODES=${NODES:-1}
if [ -d "${MODEL:-}" ]; then MODEL=$(realpath "$MODEL"); fi # a folder, not a name: workers run elsewhere

options=(
    algorithm.adv_estimator=grpo # the advantage of all three
    data.train_files="$DATA/train.parquet"
    data.val_files="$DATA/validation.parquet"
    data.max_prompt_length=4096      # the limit of the export, image tokens included
    data.max_response_length=16384   # [V]
    data.filter_overlong_prompts=False # the export has done it
    data.truncation=error
    data.image_key=images
    data.shuffle="${SHUFFLE:-False}" # the order of the rows is the curriculum; True for a plain export
    data.train_batch_size=128
    actor_rollout_ref.actor.ppo_mini_batch_size=64
    actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1
    actor_rollout_ref.actor.optim.lr=1e-6           # [V]
    actor_rollout_ref.actor.optim.lr_warmup_steps=25 # [V]
    actor_rollout_ref.actor.use_kl_loss=False       # [V] no KL
    algorithm.use_kl_in_reward=False
    actor_rollout_ref.rollout.name=vllm
    actor_rollout_ref.rollout.n=8                   # [V] samples a question
    actor_rollout_ref.rollout.temperature=1.0
    actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=2

    # Dynamic sampling: groups without variance teach nothing and are drawn anew.
    algorithm.filter_groups.enable=True
    algorithm.filter_groups.metric=reward

    # The reward compares exactly, and only the declared answer. A wrong number in \boxed{} gets the format weight.
    reward.custom_reward_function.path=pkg://hopchain_etl.training_set.rewards.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.format_weight=0.0

    # What `hopchain train watch` reads. verl overwrites its file log at each start, hence the time in its name.
    trainer.logger='[console,file]'
    +ray_kwargs.ray_init.runtime_env.env_vars.VERL_FILE_LOGGER_PATH="$RUN/log-$(date +%s).jsonl"
    trainer.rollout_data_dir="$RUN/rollouts"
    trainer.validation_data_dir="$RUN/validation"
    trainer.default_local_dir="$RUN/checkpoints"
    trainer.test_freq=10 # [V]
    trainer.save_freq=50
    trainer.total_epochs=1
    trainer.n_gpus_per_node="$GPUS"
    trainer.nnodes="$NODES"
)
case $ALGORITHM in
    grpo) options+=(
        actor_rollout_ref.actor.policy_loss.loss_mode=vanilla
        actor_rollout_ref.actor.clip_ratio_low=0.2  # [V]
        actor_rollout_ref.actor.clip_ratio_high=0.3 # [V]
    ) ;;
    gspo) options+=( # the ratio of whole answers: the clip values are of another order
        actor_rollout_ref.actor.policy_loss.loss_mode=gspo
        actor_rollout_ref.actor.clip_ratio_low=3e-4  # [G]
        actor_rollout_ref.actor.clip_ratio_high=4e-4 # [G]
        actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean
    ) ;;
    sapo) options+=( # the loss reads actor.tau_*; policy_loss.tau_* is not read
        actor_rollout_ref.actor.policy_loss.loss_mode=sapo
        actor_rollout_ref.actor.tau_pos=1.0  # [P]
        actor_rollout_ref.actor.tau_neg=1.05 # [P]
        actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean
    ) ;;
    *) echo "ALGORITHM=$ALGORITHM; choose grpo, gspo or sapo" >&2; exit 2 ;;
esac
case $MODEL_CLASS in
    8b) options+=(
        actor_rollout_ref.model.path="${MODEL:-Qwen/Qwen3-VL-8B-Instruct}"
        actor_rollout_ref.rollout.tensor_model_parallel_size=2
    ) ;;
    35b-a3b) options+=( # experts are spread over GPUs by Megatron
        model_engine=megatron
        actor_rollout_ref.model.path="${MODEL:-Qwen/Qwen3.5-35B-A3B}"
        actor_rollout_ref.rollout.tensor_model_parallel_size=8
        actor_rollout_ref.actor.megatron.tensor_model_parallel_size=2
        actor_rollout_ref.actor.megatron.expert_model_parallel_size=8
        actor_rollout_ref.actor.megatron.expert_tensor_parallel_size=1
        actor_rollout_ref.actor.megatron.param_offload=True
        actor_rollout_ref.actor.megatron.optimizer_offload=True
        actor_rollout_ref.actor.megatron.override_transformer_config.recompute_granularity=full
        actor_rollout_ref.actor.megatron.override_transformer_config.recompute_method=uniform
        actor_rollout_ref.actor.megatron.override_transformer_config.recompute_num_layers=1
        # Qwen3.5's linear attention takes no packed sequences in Megatron (published scripts for it, 2026-02). The
        # workers read the model's switch; actor.megatron has one that is not read.
        actor_rollout_ref.model.use_remove_padding=False
        actor_rollout_ref.actor.use_dynamic_bsz=False
    )
        # The ratio of single tokens needs the experts that answered; GSPO and SAPO do without [G].
        if [ "$ALGORITHM" = grpo ]; then options+=(actor_rollout_ref.actor.megatron.router_replay.mode=R2); fi ;;
    *) echo "MODEL_CLASS=$MODEL_CLASS; choose 8b or 35b-a3b" >&2; exit 2 ;;
esac
mkdir -p "$RUN"
${LAUNCH:-python -m verl.trainer.main_ppo} "${options[@]}" "$@" # LAUNCH=echo shows them
