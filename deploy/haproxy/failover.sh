#!/usr/bin/env bash
# What clients notice behind HAProxy when one node of a region of three zones is killed, stopped for good by SIGTERM, or hangs, and
# comes back after 15 seconds: one line of a table for each signal. The region is that of deploy/cluster/run.sh, in a network
# namespace of its own. Needs what deploy/dev/deps.sh test installs.
#
# CAIRN_BIN    the binary              [the release build]
# SIGNALS      what the node gets      [KILL TERM STOP]
# ZONE         whose node gets it      [a, whose node leads the index]
# KEEP_LOGS    folder for HAProxy's    [none]
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=deploy/dev/env.sh
. deploy/dev/env.sh

if [ "${1:-}" != inside ]; then
    root=()
    [ "$(id -u)" -eq 0 ] || root=(--map-root-user)
    exec unshare "${root[@]}" --net --pid --fork --kill-child --mount-proc deploy/haproxy/failover.sh inside
fi
ip link set lo up
export CAIRN_BIN=${CAIRN_BIN:-$CARGO_TARGET_DIR/release/cairn}
echo "| signal | requests | longest time without a success | slowest request | retried by the SDK | failed | lost or wrong |"
echo "|---|---|---|---|---|---|---|"
for signal in ${SIGNALS:-KILL TERM STOP}; do
    folder=$(mktemp -d)
    CLUSTER_DATA=$folder deploy/cluster/run.sh >"$folder/run.log" 2>&1 &
    region=$!
    haproxy -f deploy/haproxy/haproxy.cfg -f deploy/haproxy/gateways.cfg >"$folder/haproxy.log" 2>&1 &
    proxy=$!
    until curl -fsS -o /dev/null http://127.0.0.13:9001/health/ready 2>/dev/null && grep -q "S3 is served" "$folder/run.log"; do
        kill -0 "$region"
        sleep 0.5
    done
    sleep 2
    node=$(pgrep -f -- "--node-dir $folder/${ZONE:-a}/node" | head -n 1)
    status=0
    "$CAIRN_PYTHON_VENV/bin/python" deploy/haproxy/failover.py http://127.0.0.1:80 "$folder/a/node/root-key.json" "$node" "$signal" ||
        status=$?
    [ -z "${KEEP_LOGS:-}" ] || cp "$folder/haproxy.log" "$KEEP_LOGS/haproxy-$signal.log"
    kill "$proxy" "$region"
    wait
    rm -rf "$folder"
    [ "$status" -eq 0 ] || exit "$status"
done
