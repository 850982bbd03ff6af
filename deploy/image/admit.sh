#!/usr/bin/env bash
# Runs beside the server of a region's first node, asks it over the socket in its directory, and lets the other nodes in: each that is
# expected and not there gets a token, those that are to keep the index are told to, and once all are up their disks are made a
# chunk cluster, once. Whatever comes later (nodes beyond these, a second chunk cluster) is an operator's to do.
#
# NODES            names of all nodes, with spaces between
# INDEX_NODES      those that keep the index
# PROFILE, SMALL   erasure code of large objects and of small ones; what suits the disks, where empty
# TOKENS_DIR       folder in which tokens are put; or
# TOKENS_SECRET    Secret of Kubernetes in which they are put, which the others have mounted
# CAIRN_NODE_DIR   directory of the first node
# NODE_NAME, FIRST_NODE   where both are set and differ, nothing is done: pods that are made alike all run this
set -euo pipefail

pause_s=${ADMIT_PAUSE_S:-5}
token_ttl=1h
# Before it ends another one is made.
token_age_s=1800
account=${SERVICE_ACCOUNT_DIR:-/var/run/secrets/kubernetes.io/serviceaccount}
declare -A offered_s=() withdrawn=()

say() { echo "admit.sh: $*" >&2; }

# publish NAME [VALUE]: shows it to the nodes; without a value takes it away.
publish() {
    if [ -z "${TOKENS_SECRET:-}" ]; then
        publish_file "$@"
    else
        publish_secret "$@"
    fi
}

publish_file() {
    if [ $# -eq 1 ]; then
        rm -f "$TOKENS_DIR/$1"
    else
        (umask 077 && echo "$2" >"$TOKENS_DIR/.new" && mv "$TOKENS_DIR/.new" "$TOKENS_DIR/$1")
    fi
}

# The token of the service account is read each time, since it changes, and does not show in the list of processes.
publish_secret() {
    local api=${KUBERNETES_API:-https://kubernetes.default.svc} namespace
    namespace=$(<"$account/namespace")
    jq -n --arg name "$1" --arg value "${2:-}" '{data: {($name): (if $value == "" then null else $value | @base64 end)}}' |
        curl -fsS -o /dev/null --max-time 10 --cacert "$account/ca.crt" -X PATCH --data-binary @- \
            -H @<(echo "Authorization: Bearer $(<"$account/token")") -H "Content-Type: application/merge-patch+json" \
            "$api/api/v1/namespaces/$namespace/secrets/$TOKENS_SECRET"
}

# ask FILTER [NAME]: whether the region's status is so. (A pipe: bash would need a file for a long here-string.)
ask() { printf '%s' "$status" | jq -e --arg name "${2:-}" "$1" >/dev/null; }
# shellcheck disable=SC2016 # $name is jq's
is_known() { ask 'any(.nodes[]; .name == $name)' "$1"; }
# shellcheck disable=SC2016 # as above
is_up() { ask 'any(.nodes[]; .name == $name and .state == "up")' "$1"; }
# shellcheck disable=SC2016 # as above
keeps_index() { ask '.index != [] and all(.index[]; any(.members[]; .node == $name and .votes))' "$1"; }

# Called as a condition, so bash does not end at a command that fails: these say it themselves.
offer_token() {
    local node=$1 token
    [ "${offered_s[$node]:-never}" = never ] || [ $((SECONDS - offered_s[$node])) -ge "$token_age_s" ] || return 0
    token=$(cairn node token --ttl "$token_ttl") || return
    publish "$node" "$token" || return
    offered_s[$node]=$SECONDS
    say "$node may join"
}

# A token is taken away when its node is up: until then it may have to ask again with the same one.
withdraw_token() {
    [ -z "${withdrawn[$1]:-}" ] || return 0
    publish "$1" || return
    withdrawn[$1]=yes
}

# One look at the region, and what follows from it. Fails where something has to be tried again.
look() {
    local node words=()
    status=$(cairn admin status --json) || return
    if [ -z "$made" ]; then
        made=$(printf '%s' "$status" | jq -r .installation)
        publish made "$made" || { made="" && return 1; }
    fi
    for node in $NODES; do
        if ! is_known "$node"; then
            offer_token "$node" || return
        elif is_up "$node"; then
            withdraw_token "$node" || return
        fi
    done
    for node in $INDEX_NODES; do
        if is_up "$node" && ! keeps_index "$node"; then
            cairn index add "$node" || return
        fi
    done
    for node in $NODES; do is_up "$node" || return 0; done
    for node in $INDEX_NODES; do keeps_index "$node" || return 0; done
    if ask '.clusters == []'; then
        [ -z "${PROFILE:-}" ] || words+=(--profile "$PROFILE")
        [ -z "${SMALL:-}" ] || words+=(--small "$SMALL")
        cairn cluster add "${words[@]}" || return
    fi
}

: "${NODES:?}" "${INDEX_NODES:?}" "${CAIRN_NODE_DIR:?}" "${TOKENS_SECRET:-${TOKENS_DIR:?}}"
made=""
# Others have nothing to tell, and wait to be stopped.
is_first() { [ "${NODE_NAME:-${FIRST_NODE:-}}" = "${FIRST_NODE:-}" ]; }
trap 'exit 0' TERM INT
while true; do
    ! is_first || look || say "tries again in $pause_s s"
    sleep "$pause_s" &
    wait $!
done
