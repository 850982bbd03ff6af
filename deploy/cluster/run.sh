#!/usr/bin/env bash
# A region of three zones on this machine: one process for each zone, with all roles and three disks, shards 5+4 over
# the zones. The first run makes it, later runs start it again. It runs until Ctrl-C.
#
# CLUSTER_DATA   folder of all nodes                              [./data/cluster]
# CAIRN_BIN      the binary                                       [the release build]
#
# Zone N listens on 127.0.0.1N: S3 on port 9000, metrics on 9001, other nodes on 9002.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=deploy/dev/env.sh
. deploy/dev/env.sh

DATA=${CLUSTER_DATA:-./data/cluster}
BIN=${CAIRN_BIN:-$CARGO_TARGET_DIR/release/cairn}
ZONES=(a b c)
PROFILE=5+4
TRIES=300
mkdir -p "$DATA"
DATA=$(cd "$DATA" && pwd)

address() { echo "127.0.0.$((11 + $1))"; }

# The settings of node $1, in words for the binary.
settings() {
    local dir=$DATA/${ZONES[$1]} at
    at=$(address "$1")
    echo --node-dir "$dir/node" --data "$dir/disk1,$dir/disk2,$dir/disk3" \
        --listen "$at:9000" --admin-listen "$at:9001" --rpc-listen "$at:9002" --join-listen "$at:9003"
}

# Runs `cairn` with the settings of node $1.
cairn() {
    local node=$1 words
    shift
    read -ra words <<<"$(settings "$node")"
    "$BIN" "$@" "${words[@]}"
}

# Runs `cairn` as above until it succeeds.
patiently() {
    local _ said
    for _ in $(seq "$TRIES"); do
        if said=$(cairn "$@" 2>&1); then
            echo "$said"
            return
        fi
        sleep 0.2
    done
    echo "cairn ${*:2}: $said" >&2
    return 1
}

pids=()
stop() {
    trap - INT TERM EXIT
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap stop INT TERM EXIT

start() {
    local node=$1 words
    read -ra words <<<"$(settings "$node")"
    "$BIN" server "${words[@]}" >>"$DATA/${ZONES[$node]}/server.log" 2>&1 &
    pids+=($!)
}

ready() {
    local _
    for _ in $(seq "$TRIES"); do
        if curl -fsS -o /dev/null "http://$(address "$1"):9001/health/ready" 2>/dev/null; then
            return
        fi
        sleep 0.2
    done
    echo "the node of zone ${ZONES[$1]} is not ready; the end of its log:" >&2
    tail -n 20 "$DATA/${ZONES[$1]}/server.log" >&2
    return 1
}

for node in "${!ZONES[@]}"; do
    zone=${ZONES[$node]}
    mkdir -p "$DATA/$zone"
    if [ -e "$DATA/$zone/node/node.toml" ]; then
        start "$node"
        continue
    fi
    echo "making the node of zone $zone"
    if [ "$node" -eq 0 ]; then
        cairn 0 cluster create --name "node-$zone" --zone "$zone" >/dev/null
        start 0
    else
        token=$(patiently 0 node token)
        cairn "$node" node join "$token" --name "node-$zone" --zone "$zone" >/dev/null
        start "$node"
        patiently 0 index add "node-$zone" >/dev/null
    fi
done
if [ ! -e "$DATA/complete" ]; then
    patiently 0 cluster add --profile "$PROFILE" >/dev/null
    touch "$DATA/complete"
fi
for node in "${!ZONES[@]}"; do ready "$node"; done

cairn 0 admin status
keys=$DATA/${ZONES[0]}/node/root-key.json
echo
echo "S3 is served on $(for node in "${!ZONES[@]}"; do echo -n "http://$(address "$node"):9000 "; done)"
echo "The root user's key pair is in $keys. Logs are in $DATA/*/server.log. Ctrl-C stops all."
wait
