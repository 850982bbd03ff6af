#!/usr/bin/env bash
# step.sh TITLE COMMAND...: runs one step of a build or test in the build environment, with a title and
# the seconds it took. CAIRN_STARTED_S, set by the Makefile, is when the whole run began.
set -euo pipefail
exec </dev/null
# shellcheck source=deploy/dev/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Clones share build output, and cargo takes a crate of ours that another clone compiled for its own when
# that is younger than this clone's files (it compares times, and paths only within the workspace): the
# tests would then run on other code. So the output belongs to one clone at a time: others wait for the
# step to end, then drop what was compiled of our own crates. What was compiled of others' stays.
claim_build_output() {
    local owner=$CARGO_TARGET_DIR/clone.txt me
    me="$CAIRN_REPO $(stat -c '%d:%i:%W' "$CAIRN_REPO")"
    mkdir -p "$CARGO_TARGET_DIR"
    exec 8>>"$CARGO_TARGET_DIR/clone.lock"
    flock --shared 8
    while [ "$(cat "$owner" 2>/dev/null)" != "$me" ]; do
        flock --nonblock 8 || { echo "waiting for a build in another clone" >&2; flock 8; }
        forget_own_crates
        echo "$me" >"$owner"
        flock --shared 8
    done
}

forget_own_crates() {
    local names name
    names=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$CAIRN_REPO"/*/Cargo.toml "$CAIRN_REPO"/*/*/Cargo.toml | sort -u)
    for name in $names; do
        find "$CARGO_TARGET_DIR" "$CAIRN_CACHE_DIR" -maxdepth 5 -path "*/.fingerprint/$name-*" -prune -exec rm -rf {} +
    done
}

title=$1
shift
began_s=$(date +%s)
echo "==> $title"
claim_build_output
status=0
"$@" 8>&- || status=$? # closed, so that a process left behind holds no lock
now_s=$(date +%s)
times="$((now_s - began_s)) s, $((now_s - ${CAIRN_STARTED_S:-$began_s})) s since the start"
if [ "$status" -ne 0 ]; then
    echo "==> $title: FAILED with status $status ($times)" >&2
    exit "$status"
fi
echo "==> $title: done ($times)"
