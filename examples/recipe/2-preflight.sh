#!/usr/bin/env bash
# Checks files through the trainer's own loader, processor and reward. Run it in the trainer's environment.
#   RELEASE=set TRAINER=verl MODEL=... examples/recipe/2-preflight.sh [FILES] [options of hopchain train preflight]
# Run it again on the mix: examples/recipe/2-preflight.sh work/mixed/*.parquet
set -euo pipefail
RELEASE=${RELEASE:?the clone of your registry} MODEL=${MODEL:?the folder of the model}
TRAINER=${TRAINER:-verl} WORK=${WORK:-work} PYTHON=${PYTHON:-python} # PYTHON: the trainer's
MAX_PROMPT_TOKENS=${MAX_PROMPT_TOKENS:-4096} TARGET=${TARGET:-}    # TARGET: if the release has several

suffix=parquet
if [ "$TRAINER" = swift ]; then suffix=jsonl; fi
case ${1:-} in
    '' | -*) set -- "$WORK/export/train.$suffix" "$WORK/export/validation.$suffix" "$@" ;;
esac
"$PYTHON" -m hopchain_etl.training.preflight --trainer "$TRAINER" --model "$MODEL" --set "$RELEASE" ${TARGET:+--target "$TARGET"} \
    --max-prompt-tokens "$MAX_PROMPT_TOKENS" "$@"
