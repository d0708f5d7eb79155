#!/usr/bin/env bash
# demo.sh BINARIES: proof of delivery to watch (`make demo`), in about a minute.
#
# Starts Redis, MongoDB and three gateways, lets thirty users send numbered messages, and breaks the cluster meanwhile: a
# gateway is killed with -9, Redis is killed, every gateway is restarted. Closes with the books; the exit status is theirs: 0
# when everything acknowledged was stored once and reached everybody once and in order, 1 when not, 2 when the run proves
# nothing. Keeps nothing but its logs, in .local/demo/logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

binaries=${1:?the folder with hobnob and hobnob-load}
export CLUSTER_DIR=.local/demo CLUSTER_BIN=$binaries/hobnob EDGE=no HOBNOB_DRAIN_GRACE=5s
readonly CLUSTER=deploy/local/cluster.sh

# at SECONDS WHAT COMMAND...: a line of its own above the live one, then the deed.
faults=()
at() {
    local seconds=$1 what=$2
    shift 2
    faults+=(--at "$seconds=printf '\r\033[K        -- %s\n' '$what' >&2 && $CLUSTER $* >/dev/null")
}

trap '"$CLUSTER" down' EXIT
echo "Starting Redis, MongoDB and three gateways ($("$binaries/hobnob" version))"
"$CLUSTER" up >/dev/null
# shellcheck source=/dev/null
. "$CLUSTER_DIR/env"

at 5 "gateway2 is killed (kill -9)" kill gateway2
at 11 "gateway2 starts again" start gateway2
at 16 "Redis is killed (kill -9)" kill redis
at 24 "Redis starts again, empty" start redis
at 30 "all gateways are restarted, one after the other" roll
echo "30 users in 3 rooms and in pairs send 50 messages a second"
"$binaries/hobnob-load" check --gateways "${CLUSTER_URLS// /,}" --users 30 --rooms 3 --members 10 --rate 50 --seconds 50 \
    --late-ms 2000 --progress "${faults[@]}"
