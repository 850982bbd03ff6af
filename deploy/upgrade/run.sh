#!/usr/bin/env bash
# run.sh: builds a second binary, of the format that the feature `next-format` makes up, beside the usual one, and runs
# the tests that upgrade from one to the other. The build output is shared, so that only our own crates are built twice.
set -euo pipefail
out=$CARGO_TARGET_DIR/debug
cargo build --locked -p server --bin cairn --features next-format
cp "$out/cairn" "$out/cairn-next.new"
mv "$out/cairn-next.new" "$out/cairn-next" # whoever runs the old one goes on
cargo test --locked -p index --lib --features types/next-format sealed_as_the_finalised_format
CAIRN_NEXT=$out/cairn-next cargo test --locked -p server --test region upgrade -- --include-ignored --nocapture \
    --test-threads 1
