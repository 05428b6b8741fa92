#!/usr/bin/env bash
# Pulls a version, and exports what the trainer takes: prompts that fit, images included.
#   RELEASE=set TRAINER=verl MODEL=~/models/Qwen3-VL-8B-Instruct examples/recipe/1-prepare.sh [options of hopchain export]
set -euo pipefail
RELEASE=${RELEASE:?the clone of your registry} # git clone --branch TAG REGISTRY_URL set
MODEL=${MODEL:?the folder of the model}        # for its tokenizer, which needs `pip install tokenizers`
TOKENIZER=${TOKENIZER-$MODEL}                  # TOKENIZER= estimates text instead of counting it
TRAINER=${TRAINER:-verl} WORK=${WORK:-work}    # verl, trl, swift or easyr1
MAX_PROMPT_TOKENS=${MAX_PROMPT_TOKENS:-4096}   # the trainer's own limit

if [ -d "$RELEASE/.dvc" ]; then (cd "$RELEASE" && dvc pull); fi
hopchain export "$RELEASE" --format "$TRAINER" --out "$WORK/export" \
    --max-prompt-tokens "$MAX_PROMPT_TOKENS" ${TOKENIZER:+--tokenizer "$TOKENIZER"} "$@"
