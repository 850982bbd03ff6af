#!/usr/bin/env bash
# Runs every fuzz target for SECONDS seconds each: fuzz/run.sh SECONDS
# A target that finds something leaves its input in fuzz/artifacts and fails the run.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/dev/env.sh
. ../deploy/dev/env.sh
seconds=${1:?usage: fuzz/run.sh SECONDS}

cargo_fuzz=$CAIRN_CACHE_DIR/tools/bin/cargo-fuzz
if [ ! -x "$cargo_fuzz" ]; then
    echo "installing cargo-fuzz, which builds and runs the fuzz targets"
    cargo install --quiet --locked cargo-fuzz --root "$CAIRN_CACHE_DIR/tools"
fi

# Coverage comes from a compiler pass that a stable toolchain has too; sanitizers would need a nightly
# one, and add little where no code is unsafe.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=$CAIRN_CACHE_DIR/fuzz-target
targets=$("$cargo_fuzz" list)
count=0
for target in $targets; do
    corpus=$CAIRN_CACHE_DIR/fuzz-corpus/$target
    mkdir -p "$corpus" "artifacts/$target"
    echo "fuzz: $target for $seconds s"
    "$cargo_fuzz" run --sanitizer none "$target" "$corpus" -- \
        -max_total_time="$seconds" -max_len=65536 -print_final_stats=0 -verbosity=0
    count=$((count + 1))
done
echo "$count passed, 0 failed"
