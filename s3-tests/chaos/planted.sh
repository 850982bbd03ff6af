#!/usr/bin/env bash
# planted.sh: builds the server with each planted bug (types/src/planted.rs) in turn, and fails unless chaos finds it
# within SEEDS runs (8) of RUN_SECONDS (20). First a run without any must be clean.
set -euo pipefail
seeds=${SEEDS:-8}
seconds=${RUN_SECONDS:-20}
chaos=$CARGO_TARGET_DIR/debug/chaos
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The bugged binary has the place of the other only until it is copied.
cargo build --locked --workspace --bin cairn --features server/planted
cp "$CARGO_TARGET_DIR/debug/cairn" "$out/cairn"
cargo build --locked --workspace --bin cairn --bin chaos

# run BUG ON SEED: whether the run was clean; anything but a verdict ends the script.
run() {
    local log=$out/$1-$3.log
    if CAIRN_PLANTED=$1 TMPDIR=$out "$chaos" run --on "$2" --seed "$3" --seconds "$seconds" \
        --cairn "$out/cairn" >"$log" 2>&1; then
        return 0
    fi
    if ! grep -q '^FAILED; again' "$log"; then
        cat "$log"
        echo "planted.sh: the run with $1 came to no verdict" >&2
        exit 1
    fi
    return 1
}

for on in machine region; do
    if ! run none "$on" 1; then
        cat "$out/none-1.log"
        echo "planted.sh: a run on a $on without a planted bug found something" >&2
        exit 1
    fi
done

missed=()
while read -r bug on; do
    found=
    for seed in $(seq "$seeds"); do
        if ! run "$bug" "$on" "$seed"; then
            found=$seed
            break
        fi
    done
    if [ -n "$found" ]; then
        echo "$bug: found on a $on by seed $found"
    else
        echo "$bug: not found on a $on by $seeds seeds"
        missed+=("$bug")
    fi
done <<EOF
check-then-publish region
ack-before-fsync machine
stale-read region
swapped-shards machine
lost-marker region
EOF
[ ${#missed[@]} -eq 0 ]
