#!/usr/bin/env bash
# Says whether a checkpoint is better than where it began, and by how much.
#   BEFORE=base AFTER=step200 examples/recipe/7-compare.sh [options of hopchain evaluate compare]
set -euo pipefail
BEFORE=${BEFORE:?the name of the run before} AFTER=${AFTER:?the name of the run after} WORK=${WORK:-work}

hopchain evaluate compare "$WORK/evaluations/$BEFORE" "$WORK/evaluations/$AFTER" \
    --output "$WORK/comparisons/$BEFORE-$AFTER" "$@"
