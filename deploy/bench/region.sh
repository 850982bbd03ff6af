#!/usr/bin/env bash
# region.sh: what a region costs beside one server, on this machine: the same loads on a server with nine disks, on a
# region of three zones with one process each (5+4), and on one whose roles are processes of their own. CPU is that of all
# processes of a role for one operation; what comes before the operations is taken out by running each load twice, once
# with a third of the operations. No gateway has a cache, so that every read goes to the chunks. A Markdown table goes to
# BENCH_RESULTS (bench-results).
#
# CAIRN          the binary to be measured; the release build of this clone if it is not set
# BENCH_DATA     a directory on the disk to be measured
set -euo pipefail
# shellcheck source=deploy/bench/binary.sh
. "$(dirname "${BASH_SOURCE[0]}")/binary.sh"

# Name, operation, size, connections, operations of the longer run, objects that are read.
loads=(
    "put-4k put 4KiB 16 9000 0"
    "get-4k get 4KiB 16 24000 48"
    "put-1m put 1MiB 16 1200 0"
    "get-1m get 1MiB 16 4500 16"
    "put-64m put 64MiB 4 36 0"
    "get-64m get 64MiB 4 120 4"
)
tries=300
ticks=$(getconf CLK_TCK)
results=${BENCH_RESULTS:-bench-results}
label=$(date -u +%Y%m%dT%H%M%SZ)-region
mkdir -p "$results"

pids=()
roles=()
stop_all() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    pids=()
    roles=()
}
trap 'stop_all; rm -rf "$copy" "$made"' EXIT

# start ROLE LOG WORD...: a server whose CPU counts for ROLE.
start() {
    local role=$1 log=$2
    shift 2
    "$copy" server --cache-memory 0 "$@" >>"$log" 2>&1 &
    pids+=($!)
    roles+=("$role")
}

patiently() {
    local _ said
    for _ in $(seq "$tries"); do
        if said=$("$@" 2>&1); then
            echo "$said"
            return
        fi
        sleep 0.2
    done
    echo "$*: $said" >&2
    return 1
}

# CPU of each role so far, in ticks: lines of ROLE TICKS.
cpu() {
    local at
    for at in "${!pids[@]}"; do
        awk -v role="${roles[$at]}" '{ sub(/.*\) /, ""); print role, $12 + $13 }' "/proc/${pids[$at]}/stat"
    done | awk '{ sum[$1] += $2 } END { for (role in sum) print role, sum[role] }' | sort
}

# one ENDPOINT OPERATION SIZE CONNECTIONS COUNT OBJECTS
one() {
    local objects=()
    [ "$6" -eq 0 ] || objects=(--objects "$6")
    "$copy" bench run --endpoint "$1" --mix "$2=1" --size "$3" --connections "$4" --operations "$5" "${objects[@]}" \
        --warm-up 0s --duration 120s --json "$data/report.json" >/dev/null
}

# measure ENDPOINT NAME: a line of the table for each load.
measure() {
    local endpoint=$1 name=$2 load work operation size connections count objects before between after line
    for load in "${loads[@]}"; do
        read -r work operation size connections count objects <<<"$load"
        before=$(cpu)
        one "$endpoint" "$operation" "$size" "$connections" $((count / 3)) "$objects"
        between=$(cpu)
        one "$endpoint" "$operation" "$size" "$connections" "$count" "$objects"
        after=$(cpu)
        line=$(paste <(echo "$before") <(echo "$between") <(echo "$after") | awk -v hz="$ticks" -v n=$((count - count / 3)) '
            { each = ($6 - 2 * $4 + $2) * 1000 / hz / n; sum += each; split_up = split_up sprintf("%s %.3f, ", $1, each) }
            END { sub(/, $/, "", split_up); printf "%.3f | %s", sum, split_up }')
        echo "| $work | $name | $(jq -r '"\(.ops_per_second | floor) | \(.latency_ms.p50) | \(.latency_ms.p99)"' "$data/report.json") | $line |" |
            tee -a "$results/$label.md"
    done
}

keys_of() {
    AWS_ACCESS_KEY_ID=$(jq -r .access_key "$1")
    AWS_SECRET_ACCESS_KEY=$(jq -r .secret_key "$1")
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
}

ready() { patiently curl -fsS -o /dev/null "http://$1/health/ready"; }

machine() {
    local disks dir=$data/machine
    disks=$(seq -s, -f "$dir/disk%g" 9)
    mkdir -p "$dir"
    start all "$dir/log" --data "$disks" --index-dir "$dir/index" --listen 127.0.0.21:9000 --admin-listen 127.0.0.21:9001
    ready 127.0.0.21:9001
    keys_of "$dir/index/root-key.json"
    measure http://127.0.0.21:9000 one-server
    stop_all
    rm -rf "$dir"
}

# region NAME NODE...: a region of nodes NAME:ZONE:ROLES, the first of which makes it, one with a gateway last.
region() {
    local name=$1 node number=0 zone roles_of role dir at token words first=()
    shift
    for node in "$@"; do
        IFS=: read -r node zone roles_of <<<"$node"
        number=$((number + 1))
        dir=$data/$name/$node
        at=127.0.0.$((30 + number))
        mkdir -p "$dir"
        words=(--node-dir "$dir/node" --listen "$at:9000" --admin-listen "$at:9001" --rpc-listen "$at:9002" --join-listen "$at:9003")
        [[ ,$roles_of, != *,chunkstore,* ]] || words+=(--data "$dir/disk1,$dir/disk2,$dir/disk3")
        role=${roles_of//,/+}
        [ "$roles_of" != gateway,index,chunkstore,scheduler ] || role=all
        if [ "$number" -eq 1 ]; then
            first=("${words[@]}")
            "$copy" cluster create --name "$node" --zone "$zone" --roles "$roles_of" "${words[@]}" >/dev/null
            start "$role" "$dir/log" "${words[@]}"
        else
            token=$(patiently "$copy" node token "${first[@]}")
            "$copy" node join "$token" --name "$node" --zone "$zone" --roles "$roles_of" "${words[@]}" >/dev/null
            start "$role" "$dir/log" "${words[@]}"
            [[ ,$roles_of, != *,index,* ]] || patiently "$copy" index add "$node" "${first[@]}" >/dev/null
        fi
    done
    patiently "$copy" cluster add --profile 5+4 "${first[@]}" >/dev/null
    ready "$at:9001"
    keys_of "$data/$name/${1%%:*}/node/root-key.json"
    measure "http://$at:9000" "$name"
    stop_all
    rm -rf "${data:?}/$name"
}

{
    echo "$label"
    echo
    echo "$(nproc) cores, shared with the client; every process on the same disk. CPU in ms for one operation."
    echo
    echo "| work | where | ops/s | p50 ms | p99 ms | CPU | by role |"
    echo "|---|---|---|---|---|---|---|"
} | tee "$results/$label.md"
machine
region region-of-three a:a:gateway,index,chunkstore,scheduler b:b:gateway,index,chunkstore,scheduler \
    c:c:gateway,index,chunkstore,scheduler
region roles-apart ia:a:index ib:b:index ic:c:index ca:a:chunkstore cb:b:chunkstore cc:c:chunkstore \
    g:a:gateway,scheduler
echo "written to $results/$label.md"
