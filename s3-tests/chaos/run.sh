#!/usr/bin/env bash
# run.sh [OPTION...]: runs chaos with these options on the release binary, or on CAIRN, and adds the results to
# RESULTS.csv. Without a --seed it goes on where that file ends, so that sittings never repeat a seed; without --on it
# makes a region of three zones. `run.sh failover OPTION...` measures instead.
set -euo pipefail
if [ "${1:-}" = failover ]; then
    exec "$CARGO_TARGET_DIR/debug/chaos" "$@" --cairn "${CAIRN:-$CARGO_TARGET_DIR/release/cairn}"
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=$here/RESULTS.csv

defaults=()
if [[ " $* " != *" --on"* ]]; then
    defaults+=(--on region)
fi
if [[ " $* " != *" --seed"* ]]; then
    last=0
    [ ! -e "$results" ] || last=$(tail -n +2 "$results" | cut -d, -f3 | sort -n | tail -n 1)
    defaults+=(--seed "$((${last:-0} + 1))")
fi
exec "$CARGO_TARGET_DIR/debug/chaos" run --cairn "${CAIRN:-$CARGO_TARGET_DIR/release/cairn}" \
    --results "$results" "${defaults[@]}" "$@"
