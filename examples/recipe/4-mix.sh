#!/usr/bin/env bash
# Mixes base data with ours, in the phases of mix.toml, into the folder that the train step reads.
#   BASE=base/train.parquet examples/recipe/4-mix.sh [options of hopchain train mix]
# BASE has the trainer's format; a run of our data alone needs no BASE: --source alone makes a curriculum of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
WORK=${WORK:-work} MIX=${MIX:-$here/mix.toml}

ours=$WORK/export/train.parquet
if [ -e "$WORK/restamped/train.parquet" ]; then ours=$WORK/restamped/train.parquet; fi
if [ ! -e "$ours" ]; then
    echo "$ours is not there; ms-swift mixes its JSON lines itself, see examples/recipe/README.md" >&2
    exit 2
fi
if [ -n "${BASE:-}" ]; then
    hopchain train mix "$MIX" --source "base=$BASE" --source "hops=$ours" --out "$WORK/mixed" "$@"
else
    hopchain train mix --source "hops=$ours" --curriculum --out "$WORK/mixed" "$@"
fi
cp "$WORK/export/validation.parquet" "$WORK/export/export.json" "$WORK/mixed/" # validation is ours alone
