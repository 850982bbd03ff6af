#!/usr/bin/env bash
# bench.sh: measures a release binary against the goals with `cairn bench suite`, which starts servers of its own. Ends
# with an error where a row FAILED, that is, an operation failed or was answered wrongly; not where a goal is missed.
#
# CAIRN           the binary to be measured; the release build of this clone if it is not set
# ROWS            rows, as in "put-4k get-4k"; all if it is not set
# BENCH_DATA      a directory on the disk to be measured; one below the clone, deleted at the end, if it is not set
# BENCH_SECONDS   seconds of a round (5)
# BENCH_ROUNDS    rounds, over which figures are medians (3)
# BENCH_RESULTS   where the table and the JSON go (bench-results)
set -euo pipefail
# shellcheck source=deploy/bench/binary.sh
. "$(dirname "${BASH_SOURCE[0]}")/binary.sh"

rows=()
read -ra names <<<"${ROWS:-}"
[ ${#names[@]} -eq 0 ] || rows=(--rows "$(
    IFS=,
    echo "${names[*]}"
)")
label=$(date -u +%Y%m%dT%H%M%SZ)-$(git describe --always --dirty 2>/dev/null || echo unknown)

"$copy" bench suite --data "$data" "${rows[@]}" --label "$label" \
    --duration "${BENCH_SECONDS:-5}s" --rounds "${BENCH_ROUNDS:-3}" --results "${BENCH_RESULTS:-bench-results}"
