#!/usr/bin/env bash
# Three nodes find each other by join.sh and admit.sh, with the real binary as processes in a network namespace: over a shared folder,
# as in deploy/compose, and over a Secret, as in deploy/helm. Needs what deploy/dev/deps.sh test installs.
#
# CAIRN_BIN   the binary   [the release build]
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=deploy/dev/env.sh
. deploy/dev/env.sh

if [ "${1:-}" != inside ]; then
    root=()
    [ "$(id -u)" -eq 0 ] || root=(--map-root-user)
    for way in folder secret; do
        unshare "${root[@]}" --net --pid --fork --kill-child --mount-proc deploy/image/test.sh inside "$way"
    done
    exit
fi
ip link set lo up
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin"
ln -s "$(realpath "${CAIRN_BIN:-$CARGO_TARGET_DIR/release/cairn}")" "$folder/bin/cairn"
export PATH=$folder/bin:$PATH FIRST_NODE=n-0 JOIN_PATIENCE_S=1 ADMIT_PAUSE_S=1

fail() {
    echo "test.sh: $*" >&2
    tail -n 15 "$at"/*.log >&2
    exit 1
}

# Runs COMMAND with the settings of node $1.
as_node() {
    local n=$1 home=$at/n-$1
    shift
    env NODE_NAME="n-$n" NODE_ZONE="zone-$n" CAIRN_NODE_DIR="$home/node" CAIRN_INDEX_DIR="$home/index" \
        CAIRN_DATA="$home/1,$home/2,$home/3" CAIRN_LISTEN="127.0.1.$((n + 1)):9000" \
        CAIRN_ADMIN_LISTEN="127.0.1.$((n + 1)):9001" CAIRN_RPC_LISTEN="127.0.1.$((n + 1)):9002" "$@"
}

# eventually COMMAND...: within a minute.
eventually() {
    local deadline=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "not within a minute: $*"
        sleep 0.5
    done
}

region_is_whole() {
    as_node 0 cairn admin status --json >"$at/status.json" &&
        jq -e '(.nodes | length == 3) and all(.index[]; .members | length == 3) and (.clusters | length == 1)' "$at/status.json"
}
tokens_are() { [ "$(ls "$TOKENS_DIR")" = "$1" ]; }

# try WAY: everything once, with tokens handed on this way. What runs ends with the namespace.
try() {
    local n
    at=$folder/$1
    export TOKENS_DIR=$at/tokens
    mkdir -p "$TOKENS_DIR"
    start_secret "$1"
    for n in 2 1 0; do
        as_node "$n" deploy/image/join.sh cairn server >"$at/n-$n.log" 2>&1 &
    done
    NODES="n-0 n-1 n-2" INDEX_NODES="n-0 n-1 n-2" PROFILE=5+4 as_node 0 deploy/image/admit.sh >"$at/admit.log" 2>&1 &
    eventually region_is_whole
    eventually tokens_are made
    for n in 0 1 2; do eventually curl -fsS "http://127.0.1.$((n + 1)):9001/health/ready"; done
    eventually as_node 1 deploy/image/settled.sh

    # What is there already goes on as it was.
    [ "$(as_node 1 deploy/image/join.sh echo goes on)" = "goes on" ] || fail "a node that has joined did not go on"
    # A first node that has lost its directory begins no other region.
    mv "$at/n-0" "$at/away"
    if as_node 0 deploy/image/join.sh >"$at/again.log" 2>&1; then
        fail "another region was begun in the place of one that was made before"
    fi
    grep -q "put the first node's volumes back" "$at/again.log" || fail "the refusal does not say what to do"
    echo "test.sh: nodes joined over $1"
}

start_secret() {
    [ "$1" = secret ] || return 0
    export SERVICE_ACCOUNT_DIR=$at/account TOKENS_SECRET=cairn-join KUBERNETES_API=http://127.0.0.1:8001
    mkdir "$SERVICE_ACCOUNT_DIR"
    echo -n storage >"$SERVICE_ACCOUNT_DIR/namespace"
    echo -n bearer-token >"$SERVICE_ACCOUNT_DIR/token"
    : >"$SERVICE_ACCOUNT_DIR/ca.crt"
    python3 deploy/image/secret.py 8001 "$TOKENS_DIR" bearer-token >"$at/secret.log" 2>&1 &
}

try "$2"
