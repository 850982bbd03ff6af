#!/usr/bin/env bash
# run.sh OPTION...: the tests of the simulation, and then a run with these options, as `--seeds 0..2000` or `--seed 7`.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/dev/env.sh
. ../deploy/dev/env.sh
export CARGO_TARGET_DIR=$CAIRN_CACHE_DIR/sim-target
cargo clippy --locked --all-targets -- -D warnings
cargo test --locked
cargo build --release --locked
exec "$CARGO_TARGET_DIR/release/sim" "$@"
