#!/usr/bin/env bash
# The train step with ms-swift 4.6, on an export in its format:
#   MODEL_CLASS=8b ALGORITHM=sapo DATA=data RUN=runs/one examples/recipe/swift/train.sh [ms-swift options]
#   hopchain train watch runs/one --export data --follow
# Not run on a GPU by this project: ms-swift 4.6.0 parses each combination (make test-trainers; Megatron's names only),
# and the sizes are starting values. [V] marks values that Video-HopChain publishes, [P] the HopChain paper's, [G] the
# GSPO paper's (2507.18071).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
MODEL_CLASS=${MODEL_CLASS:-8b} # 8b (Qwen3-VL-8B) or 35b-a3b (Qwen3.5-35B-A3B, a mixture of experts, by Megatron)
ALGORITHM=${ALGORITHM:-sapo}   # grpo, gspo or sapo
DATA=${DATA:-data} RUN=${RUN:-runs/swift} GPUS=${GPUS:-8} SHUFFLE=${SHUFFLE:-true}

options=(
    --rlhf_type grpo
    --tuner_type full # the default is LoRA
    --torch_dtype bfloat16
    --dataset "$DATA/train.jsonl"
    --val_dataset "$DATA/validation.jsonl"
    --external_plugins "$here/plugin.py" # registers the rewards
    --reward_funcs hopchain_accuracy hopchain_format
    --reward_weights 1.0 0.0
    --num_generations 8 # [V] samples a question
    --temperature 1.0
    --beta 0            # [V] no KL; the default is 0.04
    --max_length 4096   # the limit of the export, image tokens included
    --max_completion_length 16384 # [V]
    # `hopchain train mix` writes no JSON lines, and the order of an export is none to train by. SHUFFLE=false for lines
    # that you have ordered yourself. There are two switches.
    --dataset_shuffle "$SHUFFLE"
    --train_dataloader_shuffle "$SHUFFLE"
    # Dynamic sampling: groups without variance teach nothing and are drawn anew.
    --dynamic_sample true
    --max_resample_times 3
    --overlong_filter true # a cut answer is left out of the loss
    --use_vllm true
    --vllm_mode colocate
    # What `hopchain train watch` reads.
    --log_completions true
    --log_entropy true
    --logging_steps 1
    --eval_steps 10 # [V]
    --save_steps 50
    --num_train_epochs 1
    --output_dir "$RUN"
)
case $ALGORITHM in
    grpo) options+=(--loss_type grpo --importance_sampling_level token --epsilon 0.2 --epsilon_high 0.3) ;; # [V]
    gspo) options+=(--loss_type grpo --importance_sampling_level sequence --epsilon 3e-4 --epsilon_high 4e-4) ;; # [G]
    # Its gate is for single tokens: with the level of sequences it would not be SAPO.
    sapo) options+=(--loss_type sapo --importance_sampling_level token --tau_pos 1.0 --tau_neg 1.05) ;; # [P]
    *) echo "ALGORITHM=$ALGORITHM; choose grpo, gspo or sapo" >&2; exit 2 ;;
esac
case $MODEL_CLASS in
    8b)
        launch="swift rlhf"
        options+=(
            --model "${MODEL:-Qwen/Qwen3-VL-8B-Instruct}"
            --learning_rate 1e-6 # [V]
            --warmup_steps 25    # [V]
            --lr_scheduler_type constant_with_warmup
            --per_device_train_batch_size 1 # completions, not questions
            --gradient_accumulation_steps 64
            --eval_strategy steps
            --deepspeed zero3
            --vllm_tensor_parallel_size 2
        ) ;;
    35b-a3b)
        launch="megatron rlhf"
        options+=(
            --model "${MODEL:-Qwen/Qwen3.5-35B-A3B}"
            --lr 1e-6            # [V]
            --lr_warmup_iters 25 # [V]
            --lr_decay_style constant
            --micro_batch_size 1
            --global_batch_size 512
            --tensor_model_parallel_size 2
            --expert_model_parallel_size 8
            --sequence_parallel true
            --recompute_granularity full
            --recompute_method uniform
            --recompute_num_layers 1
            --padding_free false # Qwen3.5's linear attention needs extra kernels for packed sequences
            --offload_model true
            --offload_optimizer true
            --vllm_tensor_parallel_size 8
        )
        # The ratio of single tokens needs the experts that answered; GSPO and SAPO do without [G].
        if [ "$ALGORITHM" = grpo ]; then options+=(--router_replay_mode R2); fi ;;
    *) echo "MODEL_CLASS=$MODEL_CLASS; choose 8b or 35b-a3b" >&2; exit 2 ;;
esac
# Paths in the export are relative to its folder.
export ROOT_IMAGE_DIR=$DATA NPROC_PER_NODE=$GPUS
${LAUNCH:-$launch} "${options[@]}" "$@" # LAUNCH=echo shows them
