#!/usr/bin/env bash
# deps.sh run|clients|s3-tests|test: installs what this machine lacks, and says what and why.
#
#   run      what building and running Cairn needs
#   clients  also the S3 clients of the wire-exchange tests
#   s3-tests what the public suite of S3 tests needs, beside what `run` names
#   test     also what the other tests and `make verify` need: all of it
#
# Debian packages come from apt; the packages of Python, Go, JavaScript and Java, all pinned, go to folders
# of their own in the cache. Java is for the long forms of the tests: `test` leaves it out.
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
restic         restic      the S3 client restic
python3-venv   -           holds boto3, AWS CLI version 1, and the public suite of S3 tests
openssl        openssl     makes a certificate for uploads over TLS
"
packages_for_java="
default-jdk-headless  javac  compiles and runs the tests of the AWS SDK for Java
maven                 mvn    fetches the AWS SDK for Java
"
packages_for_suite="
python3-venv   -           holds the public suite of S3 tests
"
packages_to_test="
iproute2       ip          makes the networks of the chaos runs
procps         kill        sends signals to the server under test
shellcheck     shellcheck  checks the shell scripts
haproxy        haproxy     checks its configuration in deploy, and is run with it
systemd        systemd-analyze  checks the unit in deploy
docker-compose docker-compose   checks the compose file in deploy
curl           curl        asks the servers of deploy's tests how they are
jq             jq          reads what the nodes of deploy's tests say
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

# install_python_packages REQUIREMENTS FOLDER. The stamp is written last, so a folder left half-filled is
# made again. (env.sh names the folders; changed requirements make a new one.)
install_python_packages() {
    local requirements=$CAIRN_REPO/$1 folder=$2
    [ -e "$folder/complete" ] && return
    say "installing the Python packages of $1 into $folder"
    mkdir -p "$CAIRN_CACHE_DIR"
    (
        flock 9
        [ -e "$folder/complete" ] && exit
        rm -rf "$folder"
        /usr/bin/python3 -m venv "$folder" &&
            "$folder/bin/pip" install --quiet --no-input --disable-pip-version-check -r "$requirements" &&
            touch "$folder/complete"
    ) 9>"$CAIRN_CACHE_DIR/python.lock" >&2 </dev/null ||
        fail "pip failed: check the network, or $1 if a version is gone"
}

# install_into FOLDER WHAT COMMAND...: runs the command, which fills $folder, once. As above, a stamp is last.
install_into() {
    local folder=$1 what=$2
    shift 2
    [ -e "$folder/complete" ] && return
    say "installing $what into $folder"
    mkdir -p "$CAIRN_CACHE_DIR"
    (
        flock 9
        [ -e "$folder/complete" ] && exit
        rm -rf "$folder" && mkdir -p "$folder" && "$@" && touch "$folder/complete"
    ) 9>"$CAIRN_CACHE_DIR/clients.lock" >&2 </dev/null ||
        fail "$what could not be fetched: check the network, or whether a version is gone"
}

# The archive of the sources holds minio-py's own functional tests, which the package leaves out.
fetch_minio_py() {
    local version
    version=$(sed -n 's/^minio==//p' s3-tests/clients/others/requirements.txt)
    "$CAIRN_OTHERS_VENV/bin/pip" download --quiet --no-input --disable-pip-version-check --no-deps \
        --no-binary :all: --dest "$folder" "minio==$version" &&
        tar --extract --strip-components=1 --directory "$folder" --file "$folder/minio-$version.tar.gz"
}

fetch_js() {
    cp s3-tests/clients/js/{package.json,package-lock.json} "$folder" &&
        npm ci --prefix "$folder" --silent --no-audit --no-fund --ignore-scripts
}

fetch_java() {
    mvn --batch-mode --quiet --file s3-tests/clients/java/pom.xml \
        dependency:copy-dependencies -DoutputDirectory="$folder"
}

# Distributions' Go and Node.js are often older than the SDKs take. Newer ones come from PyPI, then.
install_toolchains() {
    local go_wanted node_wanted=20 folder
    go_wanted=$(sed -n 's/^go //p' s3-tests/clients/go/go.mod)
    is_version "$go_wanted" "$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)" &&
        is_version "$node_wanted" "$(node --version 2>/dev/null)" && type -P npm >/dev/null && return
    say "Go $go_wanted or Node.js $node_wanted is missing, or too old"
    install_python_packages s3-tests/clients/toolchains/requirements.txt "$CAIRN_TOOLCHAINS"
    mkdir -p "$CAIRN_TOOLCHAINS/path"
    for folder in "$CAIRN_TOOLCHAINS"/lib/python3*/site-packages; do
        ln -sf "$folder/go/bin/go" "$CAIRN_TOOLCHAINS/bin/node" "$CAIRN_TOOLCHAINS/bin/npm" \
            "$CAIRN_TOOLCHAINS/path/"
    done
    export PATH="$CAIRN_TOOLCHAINS/path:$PATH"
}

# is_version WANTED FOUND: whether the version found (`go1.26.1`, `v20.1.0`; empty: none) is WANTED or newer.
is_version() {
    local found=${2#go}
    [ -n "$found" ] && printf '%s\n' "$1" "${found#v}" | sort --check=quiet --version-sort
}

# Go decides by itself what is missing; it checks what it fetches against go.sum.
fetch_go() {
    GOTOOLCHAIN=local GOMODCACHE=$CAIRN_GO_CACHE/mod GOFLAGS=-modcacherw \
        go mod download -C s3-tests/clients/go >&2 || fail "go mod download failed: check the network"
}

install_clients() {
    install_python_packages s3-tests/requirements.txt "$CAIRN_PYTHON_VENV"
    install_python_packages s3-tests/clients/others/requirements.txt "$CAIRN_OTHERS_VENV"
    install_into "$CAIRN_OTHERS_VENV/minio-py" "minio-py's tests" fetch_minio_py
    install_toolchains
    install_into "$CAIRN_JS_MODULES" "the JavaScript packages of s3-tests/clients/js" fetch_js
    fetch_go
}
install_java() { install_into "$CAIRN_JAVA_LIBRARIES" "the libraries of s3-tests/clients/java" fetch_java; }
install_suite() { install_python_packages s3-tests/suite/requirements.txt "$CAIRN_SUITE_VENV"; }

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
    install_packages <<<"$packages_to_run$packages_for_clients$packages_for_java"
    install_clients
    install_java
    ;;
s3-tests)
    install_packages <<<"$packages_to_run$packages_for_suite"
    install_suite
    ;;
test)
    install_packages <<<"$packages_to_run$packages_for_clients$packages_to_test"
    install_clients
    install_suite
    install_rust_components
    ;;
*)
    fail "usage: deps.sh run|clients|s3-tests|test"
    ;;
esac
