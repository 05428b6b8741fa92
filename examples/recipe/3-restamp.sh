#!/usr/bin/env bash
# Asks the model that is to be trained every training question eight times, and writes its own difficulty and bands.
# Questions that it gets always or never right are left out: their groups of answers have no variance.
#   RELEASE=set MODEL=... ENDPOINT=http://host:8000/v1 examples/recipe/3-restamp.sh [options of hopchain evaluate run]
# Without ENDPOINT the command launches vLLM. Stopped or killed, it goes on where it was.
set -euo pipefail
RELEASE=${RELEASE:?the clone of your registry} MODEL=${MODEL:?the name of the model on the server, or its folder}
TRAINER=${TRAINER:-verl} WORK=${WORK:-work} SAMPLES=${SAMPLES:-8}

suffix=parquet
if [ "$TRAINER" = swift ]; then suffix=jsonl; fi
hopchain evaluate run "$RELEASE" --split train --samples "$SAMPLES" --blind-samples 0 --variant full \
    --model "$MODEL" ${ENDPOINT:+--endpoint "$ENDPOINT"} --out "$WORK/answers" "$@"
rm -f "$WORK/restamped/train.$suffix" # of an earlier run: restamp overwrites nothing
hopchain train restamp "$WORK/export/train.$suffix" --answers "$WORK/answers" --out "$WORK/restamped"
