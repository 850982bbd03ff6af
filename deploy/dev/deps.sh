#!/usr/bin/env bash
# deps.sh run|clients|test: installs what this machine lacks, and says what and why.
#
#   run      what building and running Cairn needs
#   clients  also the S3 clients of the wire-exchange tests
#   test     also what the other tests and `make verify` need: all of it
#
# Debian packages come from apt; Python packages go to a folder of their own in the cache.
# Nothing is asked, and nothing is fetched when nothing is missing.
set -euo pipefail
# shellcheck source=deploy/dev/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

say() { echo "deps.sh: $*" >&2; }

fail() {
    say "$@"
    exit 1
}

# Lines of: package, the command that shows it is there (- if only dpkg knows), why it is needed.
packages_to_run="
g++            g++         compiles the C++ of RocksDB
libclang-dev   -           reads RocksDB's C header (bindgen)
libssl-dev     -           OpenSSL, for the MD5 of ETags
pkg-config     pkg-config  finds OpenSSL
"
packages_for_clients="
awscli         -           AWS CLI version 2
rclone         rclone      the S3 client rclone
s3cmd          s3cmd       the S3 client s3cmd
python3-venv   -           holds boto3 and AWS CLI version 1
openssl        openssl     makes a certificate for uploads over TLS
"
packages_to_test="
procps         kill        sends signals to the server under test
shellcheck     shellcheck  checks the shell scripts
"

is_installed() {
    local package=$1 command=$2
    [ "$command" != - ] && type -P "$command" >/dev/null && return
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 2 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >&2
}

install_packages() {
    local missing=() package command why
    while read -r package command why; do
        if [ -n "$package" ] && ! is_installed "$package" "$command"; then
            say "missing: $package ($why)"
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local by_hand="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null ||
        fail "this is not a Debian system: install the equivalents of ${missing[*]}, then try again"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "neither root nor sudo: have an administrator run: $by_hand"
    say "installing ${missing[*]}"
    { apt_get update && apt_get install --no-install-recommends "${missing[@]}"; } ||
        fail "apt-get failed; once it works, run as root: $by_hand"
}

# The folder's name holds a hash of the requirements, so changed requirements make a new folder; the
# stamp is written last, so a folder left half-filled is made again.
install_python_packages() {
    [ -e "$CAIRN_PYTHON_VENV/complete" ] && return
    local requirements=$CAIRN_REPO/s3-tests/requirements.txt
    say "installing the Python packages of s3-tests/requirements.txt into $CAIRN_PYTHON_VENV"
    mkdir -p "$CAIRN_CACHE_DIR"
    (
        flock 9
        [ -e "$CAIRN_PYTHON_VENV/complete" ] && exit
        rm -rf "$CAIRN_PYTHON_VENV"
        /usr/bin/python3 -m venv "$CAIRN_PYTHON_VENV" &&
            "$CAIRN_PYTHON_VENV/bin/pip" install --quiet --no-input --disable-pip-version-check \
                -r "$requirements" &&
            touch "$CAIRN_PYTHON_VENV/complete"
    ) 9>"$CAIRN_CACHE_DIR/python.lock" >&2 </dev/null ||
        fail "pip failed: check the network, or s3-tests/requirements.txt if a version is gone"
}

# A toolchain of rustup's minimal profile has neither rustfmt nor clippy.
install_rust_components() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null ||
        fail "cargo fmt or cargo clippy is missing: install rustfmt and clippy for $(rustc --version)"
    say "installing rustfmt and clippy (make verify)"
    rustup component add rustfmt clippy >&2
}

command -v cargo >/dev/null || fail "cargo was not found: install Rust first, see https://rustup.rs"
cd "$CAIRN_REPO" # rust-toolchain.toml decides which Rust

case "${1:-}" in
run)
    install_packages <<<"$packages_to_run"
    ;;
clients)
    install_packages <<<"$packages_to_run$packages_for_clients"
    install_python_packages
    ;;
test)
    install_packages <<<"$packages_to_run$packages_for_clients$packages_to_test"
    install_python_packages
    install_rust_components
    ;;
*)
    fail "usage: deps.sh run|clients|test"
    ;;
esac
