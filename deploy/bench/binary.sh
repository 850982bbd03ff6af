# shellcheck shell=bash
# What bench.sh and growth.sh begin with: source it. Goes to the clone, and sets
#
# data   the directory to be filled: BENCH_DATA, or one below the clone that is deleted at the end
# copy   a copy of the binary to be measured, so that nothing that is built meanwhile changes it; deleted at the end
#
# CAIRN  may name the binary; the release build of this clone if it is not set
# shellcheck source=deploy/dev/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/env.sh"
cd "$CAIRN_REPO" || exit

binary=${CAIRN:-$CARGO_TARGET_DIR/release/cairn}
[ -x "$binary" ] || {
    echo "$(basename "$0"): there is no binary $binary: run \`make build\`, or set CAIRN" >&2
    exit 1
}
data=${BENCH_DATA:-}
made=
if [ -z "$data" ]; then
    data=$(mktemp -d "$CAIRN_REPO/bench-data.XXXXXX")
    made=$data
fi
mkdir -p "$data"
copy=$data/cairn-$$
trap 'rm -rf "$copy" "$made"' EXIT
cp "$binary" "$copy"
