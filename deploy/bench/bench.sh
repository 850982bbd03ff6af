#!/usr/bin/env bash
# bench.sh: measures a release binary against the goals with `cairn bench suite`, which starts servers of its own.
#
# CAIRN           the binary to be measured; the release build of this clone if it is not set
# ROWS            rows, as in "put-4k get-4k"; all if it is not set
# BENCH_DATA      a directory on the disk to be measured; one below the clone, deleted at the end, if it is not set
# BENCH_SECONDS   seconds of a round (5)
# BENCH_ROUNDS    rounds, over which figures are medians (3)
# BENCH_RESULTS   where the table and the JSON go (bench-results)
set -euo pipefail
# shellcheck source=deploy/dev/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/env.sh"
cd "$CAIRN_REPO"

binary=${CAIRN:-$CARGO_TARGET_DIR/release/cairn}
[ -x "$binary" ] || {
    echo "bench.sh: there is no binary $binary: run \`make build\`, or set CAIRN" >&2
    exit 1
}
data=${BENCH_DATA:-}
made=
if [ -z "$data" ]; then
    data=$(mktemp -d "$CAIRN_REPO/bench-data.XXXXXX")
    made=$data
fi
# A copy, so that nothing that is built meanwhile changes what is measured.
mkdir -p "$data"
copy=$data/cairn-$$
trap 'rm -rf "$copy" "$made"' EXIT
cp "$binary" "$copy"
rows=()
read -ra names <<<"${ROWS:-}"
[ ${#names[@]} -eq 0 ] || rows=(--rows "$(
    IFS=,
    echo "${names[*]}"
)")
label=$(date -u +%Y%m%dT%H%M%SZ)-$(git describe --always --dirty 2>/dev/null || echo unknown)

"$copy" bench suite --data "$data" "${rows[@]}" --label "$label" \
    --duration "${BENCH_SECONDS:-5}s" --rounds "${BENCH_ROUNDS:-3}" --results "${BENCH_RESULTS:-bench-results}"
