#!/usr/bin/env bash
# run.sh [OPTION...]: runs chaos with these options on the release binary, or on CAIRN, and adds the results to
# RESULTS.csv. Without a --seed it goes on where that file ends, so that sittings never repeat a seed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=$here/RESULTS.csv

seed=()
if [[ " $* " != *" --seed"* ]]; then
    last=$(tail -n +2 "$results" 2>/dev/null | cut -d, -f3 | sort -n | tail -n 1)
    seed=(--seed "$((${last:-0} + 1))")
fi
exec "$CARGO_TARGET_DIR/debug/chaos" run --cairn "${CAIRN:-$CARGO_TARGET_DIR/release/cairn}" \
    --results "$results" "${seed[@]}" "$@"
