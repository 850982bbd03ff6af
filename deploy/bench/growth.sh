#!/usr/bin/env bash
# growth.sh: fills a server of its own step by step with `cairn bench growth`, and writes what each size costs into
# deploy/growth.
#
# CAIRN            the binary to be measured; the release build of this clone if it is not set
# GROWTH_OBJECTS   objects of 4 KiB at each step, as in "1000000 5000000"
# BENCH_DATA       a directory on the disk to be filled; one below the clone, deleted at the end, if it is not set
# GROWTH_RESULTS   where the table and the picture go (deploy/growth)
set -euo pipefail
# shellcheck source=deploy/dev/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/env.sh"
cd "$CAIRN_REPO"

binary=${CAIRN:-$CARGO_TARGET_DIR/release/cairn}
[ -x "$binary" ] || {
    echo "growth.sh: there is no binary $binary: run \`make build\`, or set CAIRN" >&2
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
objects=${GROWTH_OBJECTS:-1000000 5000000}
"$copy" bench growth --data "$data" --objects "${objects// /,}" --results "${GROWTH_RESULTS:-deploy/growth}"
