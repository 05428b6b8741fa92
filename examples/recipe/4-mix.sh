#!/usr/bin/env bash
# Mixes base data with ours, in the phases of mix.toml, into the folder that the train step reads.
#   BASE=base/train.parquet examples/recipe/4-mix.sh [options of hopchain train mix]
# BASE has the trainer's format; a run of our data alone needs no BASE: --source alone makes a curriculum of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
WORK=${WORK:-work} MIX=${MIX:-$here/mix.toml}

exported=$WORK/export/train.parquet restamped=$WORK/restamped/train.parquet ours=$exported
if [ -e "$restamped" ]; then
    if [ "$exported" -nt "$restamped" ]; then
        echo "$restamped is older than $exported: run 3-restamp.sh again, or delete it" >&2
        exit 2
    fi
    ours=$restamped
fi
if [ ! -e "$ours" ]; then
    echo "$ours is not there; ms-swift mixes its JSON lines itself, see examples/recipe/README.md" >&2
    exit 2
fi
held=$WORK/export/validation.parquet # validation is ours alone; an export with --split train has none
if [ -e "$held" ]; then set -- --validation "$held" "$@"; fi
if [ -n "${BASE:-}" ]; then
    hopchain train mix "$MIX" --source "base=$BASE" --source "hops=$ours" --out "$WORK/mixed" "$@"
else
    hopchain train mix --source "hops=$ours" --curriculum --out "$WORK/mixed" "$@"
fi
cp "$WORK/export/export.json" "$WORK/mixed/"
