#!/usr/bin/env bash
# Asks a model the questions of the validation split: with its photo, blind, and the paper's ablation.
#   RELEASE=set NAME=base    MODEL=...                 examples/recipe/6-evaluate.sh [options of hopchain evaluate run]
#   RELEASE=set NAME=step200 MODEL=work/step200 STEP=200 examples/recipe/6-evaluate.sh
# Both with the same options, or 7-compare.sh refuses them. Without ENDPOINT the command launches vLLM.
set -euo pipefail
RELEASE=${RELEASE:?the clone of your registry} NAME=${NAME:?a name for the run, such as base or step200}
MODEL=${MODEL:?the name of the model on the server, or its folder}
WORK=${WORK:-work} SAMPLES=${SAMPLES:-8} BLIND_SAMPLES=${BLIND_SAMPLES:-4}

hopchain evaluate run "$RELEASE" --split validation --samples "$SAMPLES" --blind-samples "$BLIND_SAMPLES" \
    --variant full --variant half --variant single \
    --model "$MODEL" ${STEP:+--revision "$STEP"} ${ENDPOINT:+--endpoint "$ENDPOINT"} \
    --name "$NAME" --out "$WORK/evaluations/$NAME" "$@"
