#!/usr/bin/env bash
# join.sh [COMMAND...]: makes this a node of the region, if it is none yet, and goes on with COMMAND.
#
# The first node makes the region. Every other one waits for its token, which admit.sh beside the first node puts where this one
# reads it. It may be interrupted and run again: a node joins once.
#
# FIRST_NODE, NODE_NAME, NODE_ZONE   names; this is the first node where the first two are the same
# TOKENS_DIR                         folder with a token for each node that may join, and `made` once the region was made
# CAIRN_...                          the settings that the server gets too
set -euo pipefail
umask 077

node_dir=${CAIRN_NODE_DIR:?}
kept=$(dirname "$node_dir")/join-token
patience_s=${JOIN_PATIENCE_S:-5}

say() { echo "join.sh: $*" >&2; }

go_on() {
    rm -f "$kept"
    [ $# -eq 0 ] || exec "$@"
    exit 0
}

# A region is made once. That its first node has lost its directory is no reason to begin another region, empty, under the same name.
make_region() {
    if [ -e "$TOKENS_DIR/made" ]; then
        say "the region was made before, and $node_dir is empty: put the first node's volumes back."
        say "To begin a new region in the place of one that is gone for good, take \`made\` away from where the tokens are."
        exit 1
    fi
    cairn cluster create --name "$NODE_NAME" --zone "$NODE_ZONE"
}

# Tries the token that was used first again: its answer may have been lost, and another token would make this another node.
join() {
    local token
    [ -e "$kept" ] || cp "$TOKENS_DIR/$NODE_NAME" "$kept" 2>/dev/null || return 1
    for token in "$(<"$kept")" "$(cat "$TOKENS_DIR/$NODE_NAME" 2>/dev/null)"; do
        [ -z "$token" ] || ! cairn node join "$token" --name "$NODE_NAME" --zone "$NODE_ZONE" || return 0
    done
    return 1
}

mkdir -p "$(dirname "$node_dir")"
[ ! -e "$node_dir/node.toml" ] || go_on "$@"
if [ "${NODE_NAME:?}" = "${FIRST_NODE:?}" ]; then
    make_region
    go_on "$@"
fi
say "$NODE_NAME waits for a token to join with"
trap 'exit 143' TERM
until join; do
    sleep "$patience_s" &
    wait $!
done
go_on "$@"
