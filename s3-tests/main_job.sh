#!/usr/bin/env bash
# main_job.sh [TREE]: what Cairn is for, on real input. Uploads a directory tree with `aws s3 sync` and with
# rclone, kills the server with -9 during a sync of changed files, deletes two of its six disks, starts it
# again, repeats the sync, and reads all back identical. Then replaces the two disks, waits until repair
# has filled them, and lets `cairn check` read every byte. Prints figures; fails at the first difference.
#
#   TREE            a folder without symbolic links; it is copied. Left out, a tree of at least 10,000
#                   files and 2 GiB is made of what this machine has.
#   CAIRN_BIN       the server's binary; the debug one, which must have been built, if it is not set
#   CAIRN_JOB_DIR   where to work, a folder that does not exist yet; it takes six times the tree's size,
#                   and is removed at the end, but left as it is after a failure
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/dev/env.sh
. "$here/../deploy/dev/env.sh"

FILES_MIN=10000
BYTES_MIN=$((2 << 30))
BIG_MIB="100 200 300"
CHANGED_EVERY=8        # one file in so many is changed before the second sync
KILL_AFTER_UPLOADS=200 # of the second sync

export CAIRN_BIN=${CAIRN_BIN:-$CARGO_TARGET_DIR/debug/cairn}
[ -x "$CAIRN_BIN" ] || {
    echo "main_job.sh: $CAIRN_BIN is missing: cargo build -p server" >&2
    exit 1
}
job=${CAIRN_JOB_DIR:-${TMPDIR:-/tmp}/cairn-main-job.$$}
mkdir -p "$job/home"
tree=$job/tree
server_pid=

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The settings of whoever runs this are not those of the job.
unset "${!AWS_@}" "${!RCLONE_@}" CAIRN_CONFIG

# The settings of the server and its offline commands.
disks=$job/disk1,$job/disk2,$job/disk3,$job/disk4,$job/disk5,$job/disk6
CAIRN_LISTEN=127.0.0.1:$(free_port)
CAIRN_ADMIN_LISTEN=127.0.0.1:$(free_port)
export CAIRN_DATA=$disks CAIRN_INDEX_DIR=$job/index CAIRN_LISTEN CAIRN_ADMIN_LISTEN
export CAIRN_ROOT_ACCESS_KEY=AKMAINJOB CAIRN_ROOT_SECRET_KEY=main-job-secret CAIRN_TASK_INTERVAL=5s

# The settings of the clients: their defaults, and where the server is.
export HOME=$job/home AWS_ACCESS_KEY_ID=$CAIRN_ROOT_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$CAIRN_ROOT_SECRET_KEY
export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true LANG=C.UTF-8 RCLONE_CONFIG=/dev/null
export RCLONE_CONFIG_CAIRN_TYPE=s3 RCLONE_CONFIG_CAIRN_PROVIDER=Other RCLONE_CONFIG_CAIRN_REGION=us-east-1
export RCLONE_CONFIG_CAIRN_ENDPOINT=http://$CAIRN_LISTEN
export RCLONE_CONFIG_CAIRN_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID
export RCLONE_CONFIG_CAIRN_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY
aws_s3() { /usr/bin/aws --endpoint-url "http://$CAIRN_LISTEN" s3 "$@"; }
rclone_() { rclone --stats 0 "$@"; }

say() { echo "main_job: $*"; }

fail() {
    say "FAILED: $*" >&2
    exit 1
}

finish() {
    local status=$?
    if [ -n "$server_pid" ]; then kill -9 "$server_pid" 2>/dev/null || true; fi
    [ "$status" -eq 0 ] || say "failed with status $status; all is left in $job" >&2
}
trap finish EXIT

start_server() {
    "$CAIRN_BIN" server >>"$job/server.log" 2>&1 &
    server_pid=$!
    for _ in $(seq 600); do
        curl -sf "http://$CAIRN_ADMIN_LISTEN/health/ready" >/dev/null && return
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$job/server.log" >&2
    fail "the server did not get ready"
}

stop_server() {
    kill -TERM "$server_pid"
    wait "$server_pid" || fail "the server ended with status $?"
    server_pid=
}

kill_server() {
    kill -9 "$server_pid"
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}

metric() { curl -sf "http://$CAIRN_ADMIN_LISTEN/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

count_files() { find "$1" -type f | wc -l; }
count_bytes() { find "$1" -type f -printf '%s\n' | awk '{ total += $1 } END { printf "%.0f", total }'; }

# timed TITLE BYTES COMMAND...: runs it, and prints the seconds, and MB/s if BYTES is not 0.
timed() {
    local title=$1 bytes=$2 began ended log
    shift 2
    log="$job/$(echo "$title" | tr -c '[:alnum:]\n' '-').log"
    began=$(date +%s%N)
    "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "$title (its output: $log)"
    }
    ended=$(date +%s%N)
    awk -v title="$title" -v ns=$((ended - began)) -v bytes="$bytes" 'BEGIN {
        printf "main_job: %-44s %7.1f s", title, ns / 1e9
        if (bytes > 0) printf "  %7.1f MB/s", bytes / ns * 1e3
        print ""
    }'
}

# Files of the machine: evenly chosen until there are enough, then the larger ones until the tree is big enough.
make_tree() {
    local list=$job/found.txt chosen=$job/chosen.txt mib from small_bytes
    mkdir -p "$tree/big"
    find /usr/share /usr/lib /usr/include /usr/bin -xdev -type f -readable -size -64M \
        -printf '%s\t%p\n' 2>/dev/null | LC_ALL=C.UTF-8 grep -ax '.*' >"$list"
    small_bytes=$BYTES_MIN
    for mib in $BIG_MIB; do small_bytes=$((small_bytes - (mib << 20))); done
    awk -F '\t' -v files="$FILES_MIN" -v bytes="$small_bytes" '
        { size[NR] = $1; path[NR] = $2 }
        END {
            every = NR > files ? NR / files : 1
            for (n = 1; n <= NR && picked < files; n = 1 + int(picked * every)) take(n)
            for (least = 2 ^ 22; least >= 1 && total < bytes; least /= 4)
                for (n = 1; n <= NR && total < bytes; n++) if (size[n] >= least) take(n)
        }
        function take(n) {
            if (n in taken) return
            taken[n] = 1; picked++; total += size[n]; print path[n]
        }' "$list" >"$chosen"
    tar -c --no-recursion --hard-dereference --mode=u+rw -T "$chosen" 2>/dev/null | tar -x -C "$tree"
    for mib in $BIG_MIB; do
        from=$((mib / 50))
        { find /usr/lib /usr/bin -xdev -type f -readable -size "+${from}k" -print0 |
            xargs -0 cat 2>/dev/null || true; } | head -c "${mib}M" >"$tree/big/$mib-MiB.bin"
    done
}

copy_tree() {
    [ -z "$(find "$1" -type l -print -quit)" ] || fail "$1 has symbolic links"
    cp -r "$1" "$tree"
}

# Every so many files grow by a line; and of the biggest, a piece in the middle is overwritten.
change_tree() {
    local biggest
    find "$tree" -type f | sort | awk -v every="$CHANGED_EVERY" 'NR % every == 0' >"$job/changed.txt"
    while IFS= read -r path; do echo "changed for the second sync" >>"$path"; done <"$job/changed.txt"
    biggest=$(find "$tree" -type f -printf '%s\t%p\n' | sort -n | tail -n 1 | cut -f 2)
    head -c 100000 /dev/urandom | dd of="$biggest" bs=1000 seek=1000 conv=notrunc status=none
    touch -d '+2 seconds' "$biggest"
}

sync_and_kill() {
    local uploads=0 client
    : >"$job/killed-sync.log"
    aws_s3 sync --no-progress "$tree" s3://job-aws >"$job/killed-sync.log" 2>&1 &
    client=$!
    while [ "$uploads" -lt "$KILL_AFTER_UPLOADS" ]; do
        kill -0 "$client" 2>/dev/null || fail "the second sync ended before the server was killed"
        uploads=$(grep -c '^upload:' "$job/killed-sync.log" || true)
        sleep 0.05
    done
    kill_server
    rm -rf "$job/disk2" "$job/disk5"
    say "server killed with -9 after $uploads uploads of the second sync, and disks 2 and 5 deleted"
    start_server
    if wait "$client"; then say "the sync under way went on after the restart"; else
        say "the sync under way told $(grep -c 'upload failed' "$job/killed-sync.log" || true) failed uploads, as it may"
    fi
}

same_by_aws() { aws_s3 sync --only-show-errors s3://job-aws "$job/down" && diff -r "$tree" "$job/down"; }
same_by_rclone() { rclone_ check --download "$tree" cairn:job-rclone; }

replace_disks() {
    local missing
    mapfile -t missing < <("$CAIRN_BIN" disk list | awk '/\(missing\)/ { print $1 }')
    [ "${#missing[@]}" -eq 2 ] || fail "cairn disk list shows ${#missing[@]} missing disks, not 2"
    mkdir -p "$job/disk2" "$job/disk5"
    "$CAIRN_BIN" disk replace --disk "${missing[0]}" "$job/disk2"
    "$CAIRN_BIN" disk replace --disk "${missing[1]}" "$job/disk5"
}

# Repair has nothing left when a stopped server's disks lack nothing; it is looked at once repair rests.
repair() {
    local before after round
    for round in $(seq 30); do
        start_server
        before=
        for _ in $(seq 60); do
            after=$(metric cairn_repair_shards_total)
            [ -z "$after" ] || [ "$after" != "$before" ] || [ "$(metric cairn_missing_shard_chunks)" != 0 ] || break
            before=$after
            sleep 11
        done
        stop_server
        "$CAIRN_BIN" check --json >"$job/check.json" || fail "cairn check: $(cat "$job/check.json")"
        grep -q '"missing_shards": 0' "$job/check.json" && return
        say "after round $round of repair: $(grep missing_shards "$job/check.json")"
    done
    fail "shards are still missing"
}

if [ $# -gt 0 ]; then copy_tree "$1"; else make_tree; fi
tree_files=$(count_files "$tree") tree_bytes=$(count_bytes "$tree")
say "$("$CAIRN_BIN" --version), $CAIRN_BIN, 6 disks"
say "tree: $tree_files files, $tree_bytes bytes, biggest $(find "$tree" -type f -printf '%s\n' | sort -n | tail -n 1)"
if [ $# -eq 0 ] && { [ "$tree_files" -lt "$FILES_MIN" ] || [ "$tree_bytes" -lt "$BYTES_MIN" ]; }; then
    fail "this machine has no tree of $FILES_MIN files and $BYTES_MIN bytes: name one"
fi

start_server
aws_s3 mb s3://job-aws >/dev/null
aws_s3 mb s3://job-rclone >/dev/null
timed "aws s3 sync up" "$tree_bytes" aws_s3 sync --only-show-errors "$tree" s3://job-aws
timed "rclone copy up" "$tree_bytes" rclone_ copy "$tree" cairn:job-rclone
timed "aws s3 sync of nothing new" 0 aws_s3 sync --only-show-errors "$tree" s3://job-aws

change_tree
tree_bytes=$(count_bytes "$tree")
say "changed $(wc -l <"$job/changed.txt") files"
sync_and_kill
timed "aws s3 sync repeated, two disks lost" 0 aws_s3 sync --only-show-errors "$tree" s3://job-aws
timed "rclone sync of the changes, two disks lost" 0 rclone_ sync "$tree" cairn:job-rclone
timed "aws s3 sync down and diff -r, two disks lost" "$tree_bytes" same_by_aws
timed "rclone check --download, two disks lost" "$tree_bytes" same_by_rclone
rm -rf "$job/down"
stop_server

replace_disks
timed "disks replaced, repair, cairn check" 0 repair
"$CAIRN_BIN" disk list >"$job/disks.txt"
[ "$(grep -c ' up ' "$job/disks.txt")" -eq 6 ] || fail "not every disk is up: $(cat "$job/disks.txt")"
say "cairn check: $(tr -d '\n' <"$job/check.json" | tr -s ' ')"
start_server
timed "aws s3 sync down and diff -r, repaired" "$tree_bytes" same_by_aws
stop_server
say "done: everything came back identical"
rm -rf "$job"
