#!/usr/bin/env bash
# Builds RocksDB's static library once, keeps it in the cache folder, and prints the folder it is in.
#
# librocksdb-sys compiles RocksDB anew for every cargo profile and target folder. Here it is compiled in
# a scratch project, with the very versions and features that Cargo.lock and Cargo.toml name, and
# later builds link what lies in the cache (env.sh: ROCKSDB_LIB_DIR).
set -euo pipefail
# shellcheck source=deploy/dev/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

library=$ROCKSDB_LIB_DIR/librocksdb.a
scratch=$CAIRN_CACHE_DIR/rocksdb-build
log=$CAIRN_CACHE_DIR/rocksdb-build.log
progress_interval_s=${CAIRN_PROGRESS_INTERVAL_S:-30}

say() { echo "rocksdb.sh: $*" >&2; }

found() {
    [ -s "$library" ] || return 1
    echo "$ROCKSDB_LIB_DIR"
}

# A project that needs rocksdb and nothing else. The copied files fix what the build uses.
make_scratch_project() {
    rm -rf "$scratch"
    mkdir -p "$scratch/src"
    touch "$scratch/src/lib.rs"
    cp "$CAIRN_REPO/Cargo.lock" "$CAIRN_REPO/rust-toolchain.toml" "$scratch/"
    cat >"$scratch/Cargo.toml" <<TOML
[package]
name = "rocksdb-build"
version = "0.0.0"
edition = "2024"
[dependencies]
$(grep '^rocksdb = ' "$CAIRN_REPO/Cargo.toml")
[workspace]
TOML
}

# Cargo in the scratch folder, away from settings that the caller may have for other builds.
compile() (
    cd "$scratch" || exit
    unset ROCKSDB_LIB_DIR ROCKSDB_STATIC RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    export CARGO_TARGET_DIR=$scratch/target
    # librocksdb-sys hands the processor on to the C++ compiler.
    [ -z "$CAIRN_CPU" ] || export RUSTFLAGS=-Ctarget-cpu=$CAIRN_CPU
    cargo build --release -p librocksdb-sys >"$log" 2>&1
)

# Runs beside the compiler, and ends when this script does, however that ends.
report_progress() {
    local next_s=$progress_interval_s
    while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        if [ "$SECONDS" -ge "$next_s" ]; then
            say "takes about 11 minutes, once; $((SECONDS / 60)) min $((SECONDS % 60)) s so far"
            next_s=$((next_s + progress_interval_s))
        fi
    done
}

found && exit
mkdir -p "$CAIRN_CACHE_DIR"
exec 9>"$CAIRN_CACHE_DIR/rocksdb.lock"
if ! flock --nonblock 9; then
    say "another run is building the library; waiting for it"
    flock 9
fi
found && exit
command -v cargo >/dev/null || { say "cargo was not found: install Rust (rustup) first"; exit 1; }

say "compiling RocksDB $(locked_version librocksdb-sys) with $(rocksdb_features) into $ROCKSDB_LIB_DIR"
say "takes about 11 minutes on two cores, once; the compiler's output is in $log"
make_scratch_project
SECONDS=0
report_progress 9>&- </dev/null >/dev/null &
progress=$!
trap 'kill "$progress" 2>/dev/null || true' EXIT
if ! compile; then
    tail -n 40 "$log" >&2
    say "the build failed; all of its output is in $log"
    exit 1
fi

built=$(find "$scratch/target" -name librocksdb.a -path '*/librocksdb-sys-*/out/*' | head -n 1)
[ -n "$built" ] || { say "the build left no librocksdb.a under $scratch/target"; exit 1; }
mkdir -p "$ROCKSDB_LIB_DIR"
cp "$built" "$library.new"
mv "$library.new" "$library"
rm -rf "$scratch"
say "done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
found
