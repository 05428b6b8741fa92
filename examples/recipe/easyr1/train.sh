#!/usr/bin/env bash
# The train step with EasyR1, on an export or a mix in its format:
#   EASYR1=~/EasyR1 MODEL_CLASS=8b ALGORITHM=sapo DATA=data RUN=runs/one examples/recipe/easyr1/train.sh [EasyR1 options]
#   hopchain train watch runs/one --follow
# EasyR1 writes metrics, but no rollouts: accuracy by band and constant answers cannot be watched. Not run on a GPU by
# this project: its configuration takes each combination (2026-07; EASYR1=... make test-trainers), and the sizes are
# starting values. [V] marks values that Video-HopChain publishes, [P] the HopChain paper's, [E] EasyR1's own example.
set -euo pipefail
MODEL_CLASS=${MODEL_CLASS:-8b} # 8b (Qwen3-VL-8B) or 35b-a3b (a mixture of experts)
ALGORITHM=${ALGORITHM:-sapo}   # grpo, gspo or sapo
DATA=${DATA:-data} RUN=${RUN:-runs/easyr1} GPUS=${GPUS:-8} NODES=${NODES:-1}
if [ -d "${MODEL:-}" ]; then MODEL=$(realpath "$MODEL"); fi # a folder, not a name: the directory changes below
reward=$(${PYTHON:-python} -c 'import hopchain_etl.training_set.rewards as r; print(r.__path__[0])')/easyr1.py

options=(
    data.train_files="$(realpath -m "$DATA")/train.parquet"
    data.val_files="$(realpath -m "$DATA")/validation.parquet"
    data.prompt_key=problem
    data.answer_key=answer
    data.image_key=images
    data.format_prompt=null        # the prompt asks for \boxed{} itself
    data.max_prompt_length=4096    # the limit of the export, image tokens included
    data.max_response_length=16384 # [V]
    data.filter_overlong_prompts=false # the export has done it
    data.min_pixels=65536          # its own bounds change images, and with them what the export has counted
    data.max_pixels="${MAX_PIXELS:-16777216}" # --max-pixels of the export
    data.shuffle="${SHUFFLE:-false}" # the order of the rows is the curriculum; true for a plain export
    data.rollout_batch_size=128
    worker.actor.global_batch_size=64
    worker.actor.micro_batch_size_per_device_for_update=1
    worker.actor.micro_batch_size_per_device_for_experience=2
    worker.actor.optim.lr=1e-6           # [V]
    worker.actor.optim.lr_warmup_steps=25 # [V]
    worker.rollout.n=8                   # [V] samples a question
    worker.rollout.temperature=1.0
    worker.rollout.max_num_batched_tokens=20480 # a prompt and its answer, at least
    algorithm.adv_estimator=grpo # the advantage of all three
    algorithm.disable_kl=true    # [V] no KL

    # Dynamic sampling: only groups with a mean between the two are kept.
    algorithm.online_filtering=true
    algorithm.filter_key=accuracy
    algorithm.filter_low=0.01
    algorithm.filter_high=0.99

    worker.reward.reward_function="$reward:compute_score"

    trainer.logger='[console,file]' # experiment_log.jsonl, which `hopchain train watch` reads
    trainer.save_checkpoint_path="$(realpath -m "$RUN")"
    trainer.experiment_name="hopchain_${MODEL_CLASS}_$ALGORITHM"
    trainer.val_freq=10 # [V]
    trainer.save_freq=50
    trainer.total_epochs=1
    trainer.n_gpus_per_node="$GPUS"
    trainer.nnodes="$NODES"
)
case $ALGORITHM in
    grpo) options+=(worker.actor.loss_type=default worker.actor.clip_ratio_low=0.2 worker.actor.clip_ratio_high=0.3) ;; # [V]
    gspo) options+=( # [E]
        worker.actor.loss_type=gspo_token worker.actor.loss_avg_mode=seq
        worker.actor.clip_ratio_low=3e-4 worker.actor.clip_ratio_high=4e-4
    ) ;;
    sapo) options+=( # [P]
        worker.actor.loss_type=sapo worker.actor.loss_avg_mode=seq
        worker.actor.tau_positive=1.0 worker.actor.tau_negative=1.05
    ) ;;
    *) echo "ALGORITHM=$ALGORITHM; choose grpo, gspo or sapo" >&2; exit 2 ;;
esac
case $MODEL_CLASS in
    8b) options+=(
        worker.actor.model.model_path="${MODEL:-Qwen/Qwen3-VL-8B-Instruct}"
        worker.rollout.tensor_parallel_size=2
    ) ;;
    # It needs transformers below 5, which has no Qwen3.5. FSDP only, so weights and optimiser are kept in bf16 [E].
    35b-a3b) options+=(
        worker.actor.model.model_path="${MODEL:-Qwen/Qwen3-VL-30B-A3B-Instruct}"
        worker.actor.fsdp.torch_dtype=bf16
        worker.actor.optim.strategy=adamw_bf16
        worker.actor.offload.offload_params=true
        worker.actor.offload.offload_optimizer=true
        worker.rollout.tensor_parallel_size=8
    ) ;;
    *) echo "MODEL_CLASS=$MODEL_CLASS; choose 8b or 35b-a3b" >&2; exit 2 ;;
esac
# EasyR1 empties its log at each start.
log=$(realpath -m "$RUN")/experiment_log.jsonl
if [ -s "$log" ]; then mv "$log" "${log%.jsonl}-$(date +%s).jsonl"; fi
if [ -n "${EASYR1:-}" ]; then cd "$EASYR1"; fi
${LAUNCH:-python -m verl.trainer.main} "${options[@]}" "$@" # LAUNCH=echo shows them
