#!/usr/bin/env bash
# A whole hobnob on this machine: Redis, a MongoDB replica set, several gateways, HAProxy before them and Prometheus
# beside them, on loopback only.
#
#   cluster.sh                  starts it, prints its addresses, stops everything on Ctrl-C (`make cluster`)
#   cluster.sh up               starts it and returns when every gateway is ready
#   cluster.sh status           lists its processes; exits 1 unless all of them run
#   cluster.sh down             stops it: gateways drain first, then the rest
#   cluster.sh roll             restarts the gateways one after the other, as a deployment does
#   cluster.sh kill gateway2    kill -9; of any process that `status` lists
#   cluster.sh start gateway2   starts it again with the ports and settings it had, and returns when it is ready
#
# `make cluster` stays while it is played with: what was killed, or ended by itself, is told and may be started again. What is
# being started while the cluster is stopped, is stopped with it.
#
# From the environment:
#   MEMBERS=1 or 3         members of the replica set (1)
#   GATEWAYS               number of gateways (3)
#   LISTEN_PORT            first gateway's port, the others follow (3001); a taken one is replaced by a free one
#   ADMIN_PORT             the same for the admin ports (9091)
#   EDGE_PORT              HAProxy's port (8080), the same
#   PROMETHEUS_PORT        Prometheus' port (9099), the same
#   EDGE=no                leaves both out
#   CLUSTER_BIN            a binary to run instead of building target/release/hobnob
#   CLUSTER_DIR            state, data and logs (.local/cluster); two clusters need two
#   any other HOBNOB_*     handed to the gateways
# CLUSTER_DIR/env can be sourced: CLUSTER_URLS, CLUSTER_ADMIN_URLS, EDGE_URL, PROMETHEUS_URL, HOBNOB_REDIS_URL,
# HOBNOB_MONGODB_URI. Every `up` starts with empty servers; logs stay after `down`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH="$PWD/.tools/bin:$PATH"

members=${MEMBERS:-1}
gateways=${GATEWAYS:-3}
state=$(realpath -m "${CLUSTER_DIR:-.local/cluster}")
binary=${CLUSTER_BIN:-target/release/hobnob}
edge=${EDGE:-yes}
ports=() admin_ports=() edge_stats=
# Debian keeps HAProxy where only root's PATH looks.
PATH="$PATH:/usr/sbin"
readonly READY_SECONDS=60 DRAIN_SECONDS=45

fail() {
    printf 'cluster: %s\n' "$*" >&2
    exit 1
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The wanted port, or a free one when it is taken.
port_or_free() {
    if taken "$1"; then free_port; else echo "$1"; fi
}

# When a process was started, in clock ticks since boot: with it a reused process id is not mistaken for ours.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    # Field 22 of the whole line is field 20 after the command's name; a zombie no longer counts as running.
    case $stat in Z*) return 1 ;; esac
    awk '{ print $20 }' <<<"$stat"
}

# Whoever starts or stops a process holds this, so that nothing is started behind the back of `down`. The processes do not
# inherit it.
with_lock() {
    mkdir -p "$(dirname "$state")"
    (
        flock 9
        "$@" 9>&-
    ) 9>"$state.lock"
}

# define NAME COMMAND...: how to start it, now and again. The file is the user's own: a gateway's holds the secret.
define() {
    local name=$1
    shift
    (
        umask 077
        {
            echo '#!/usr/bin/env bash'
            bash -c 'declare -px ${!HOBNOB_*} ${!OTEL_*}'
            printf 'exec'
            printf ' %q' "$@"
            echo
        } >"$state/$name.sh"
        chmod 700 "$state/$name.sh"
    )
}

# launch NAME: in a session of its own, so that Ctrl-C reaches this script alone and the order of stopping is ours.
launch() {
    local name=$1 pid
    [ -e "$state/running" ] || fail "the cluster in $state is down"
    # shellcheck disable=SC2016 # the inner shell expands them
    setsid --fork bash -c 'echo "$$" >"$0.pid.new"; exec "$0.sh"' "$state/$name" \
        </dev/null >>"$state/logs/$name.log" 2>&1
    until [ -s "$state/$name.pid.new" ]; do sleep 0.02; done
    pid=$(cat "$state/$name.pid.new")
    echo "$pid $(start_time "$pid" || echo gone)" >"$state/$name.pid"
    rm -f "$state/$name.pid.new"
}

# start NAME READY... -- COMMAND...: defines it, starts it, and waits until the command READY succeeds.
start() {
    local name=$1 ready=()
    shift
    while [ "$1" != -- ]; do
        ready+=("$1")
        shift
    done
    shift
    define "$name" "$@"
    printf '%q ' "${ready[@]}" >"$state/$name.ready"
    with_lock launch "$name"
    wait_until "$name" "${ready[@]}"
}

# The process id behind a pid file, if that very process still runs.
running() {
    local pid started
    read -r pid started <"$1" || return 1
    [ "$(start_time "$pid" || echo none)" = "$started" ] || return 1
    echo "$pid"
}

# stop SECONDS PIDFILE...: SIGTERM to all at once, SIGKILL to what is left after the time.
stop() {
    local deadline=$((SECONDS + $1)) file pid
    shift
    for file in "$@"; do
        if pid=$(running "$file"); then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    for file in "$@"; do
        while pid=$(running "$file"); do
            if [ "$SECONDS" -ge "$deadline" ]; then
                echo "cluster: $(basename "$file" .pid) did not stop in time, killed" >&2
                kill -KILL "$pid" 2>/dev/null || true
            fi
            sleep 0.05
        done
        rm -f "$file"
    done
}

# Whether an HTTP server on the port answers a path with 200.
answers_ok() {
    local status=
    { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
    IFS= read -r -t 5 status <&3 || true
    exec 3>&-
    [[ $status == HTTP/1.?\ 200* ]]
}

# wait_until NAME COMMAND...: until it succeeds, while process NAME runs.
wait_until() {
    local name=$1 deadline=$((SECONDS + READY_SECONDS))
    shift
    until "$@"; do
        if ! running "$state/$name.pid" >/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            tail -n 20 "$state/logs/$name.log" >&2 || true
            fail "$name did not become ready; see $state/logs/$name.log"
        fi
        sleep 0.1
    done
}

redis_pongs() { [ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ]; }

start_redis() {
    local port
    port=$(free_port)
    start redis redis_pongs "$port" -- redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$state/data"
    export HOBNOB_REDIS_URL="redis://127.0.0.1:$port"
}

start_mongo() {
    local ports=() hosts='' index port
    for ((index = 1; index <= members; index++)); do
        port=$(free_port)
        mkdir -p "$state/data/mongo$index"
        start "mongo$index" taken "$port" -- mongod --bind_ip 127.0.0.1 --port "$port" --nounixsocket --replSet rs0 \
            --dbpath "$state/data/mongo$index" --wiredTigerCacheSizeGB 0.5 --quiet \
            --setParameter shutdownTimeoutMillisForSignaledShutdown=1000
        ports+=("$port")
        hosts="$hosts${hosts:+,}127.0.0.1:$port"
    done
    deploy/local/replica_set.py "${ports[@]}"
    export HOBNOB_MONGODB_URI="mongodb://$hosts/hobnob?replicaSet=rs0"
}

start_gateways() {
    local index port admin urls='' admin_urls=''
    HOBNOB_JWT_SECRET=${HOBNOB_JWT_SECRET:-$(head -c 48 /dev/urandom | base64 -w 0)}
    # HAProxy.
    HOBNOB_TRUSTED_PROXIES=${HOBNOB_TRUSTED_PROXIES:-127.0.0.0/8}
    export HOBNOB_JWT_SECRET HOBNOB_TRUSTED_PROXIES
    for ((index = 1; index <= gateways; index++)); do
        port=$(port_or_free $((${LISTEN_PORT:-3001} + index - 1)))
        admin=$(port_or_free $((${ADMIN_PORT:-9091} + index - 1)))
        echo "$admin" >"$state/gateway$index.admin"
        # One after the other: two gateways may otherwise be given the same free port.
        HOBNOB_LISTEN="127.0.0.1:$port" HOBNOB_ADMIN_LISTEN="127.0.0.1:$admin" HOBNOB_SESSION_PREFIX="gateway$index" \
            start "gateway$index" answers_ok "$admin" /readyz -- "$(realpath "$binary")"
        admin_ports+=("$admin")
        ports+=("$port")
        urls="$urls${urls:+ }http://127.0.0.1:$port"
        admin_urls="$admin_urls${admin_urls:+ }http://127.0.0.1:$admin"
    done
    cat >"$state/env" <<ENV
CLUSTER_URLS="$urls"
CLUSTER_ADMIN_URLS="$admin_urls"
export HOBNOB_REDIS_URL="$HOBNOB_REDIS_URL"
export HOBNOB_MONGODB_URI="$HOBNOB_MONGODB_URI"
ENV
}

# HAProxy with the configuration of production but for its addresses; its checks and its stickiness are the same.
start_haproxy() {
    local index port stats servers=()
    for index in "${!ports[@]}"; do
        servers+=("127.0.0.1:${ports[index]}:${admin_ports[index]}")
    done
    deploy/local/haproxy_config.sh "${servers[@]}" >"$state/haproxy.cfg"
    port=$(port_or_free "${EDGE_PORT:-8080}")
    stats=$(free_port)
    # Clients take two files each, of the 20,000 that a user often has.
    HOBNOB_EDGE="127.0.0.1:$port" HOBNOB_EDGE_STATS="127.0.0.1:$stats" HOBNOB_EDGE_CLIENTS=9000 \
        HOBNOB_EDGE_ADDRESS_CLIENTS=9000 \
        start haproxy answers_ok "$port" /openapi.json -- haproxy -db -W -f "$state/haproxy.cfg"
    edge_stats=127.0.0.1:$stats
    echo "EDGE_URL=http://127.0.0.1:$port" >>"$state/env"
}

# Prometheus with the rules of production, and these processes as its targets.
start_prometheus() {
    local port targets
    mkdir -p "$state/prometheus/targets"
    cp deploy/prometheus/prometheus.yml deploy/prometheus/rules.yml "$state/prometheus/"
    targets=$(printf ',"127.0.0.1:%s"' "${admin_ports[@]}")
    echo "[{\"targets\": [${targets#,}]}]" >"$state/prometheus/targets/gateways.yml"
    echo "[{\"targets\": [\"$edge_stats\"]}]" >"$state/prometheus/targets/haproxy.yml"
    echo '[]' >"$state/prometheus/targets/alertmanagers.yml"
    port=$(port_or_free "${PROMETHEUS_PORT:-9099}")
    start prometheus answers_ok "$port" /-/ready -- prometheus --config.file="$state/prometheus/prometheus.yml" \
        --storage.tsdb.path="$state/data/prometheus" --web.listen-address="127.0.0.1:$port"
    echo "PROMETHEUS_URL=http://127.0.0.1:$port" >>"$state/env"
}

# start_again NAME: a process that was stopped, with the ports and settings it had.
start_again() {
    local ready
    [ -e "$state/$1.sh" ] || fail "there is no $1 in $state"
    if running "$state/$1.pid" >/dev/null 2>&1; then fail "$1 runs already"; fi
    with_lock launch "$1"
    # shellcheck disable=SC2294 # written by `start`, quoted
    eval "ready=($(cat "$state/$1.ready"))"
    wait_until "$1" "${ready[@]}"
}

kill_process() {
    local pid
    pid=$(running "$state/$1.pid" 2>/dev/null) || fail "$1 does not run"
    kill -KILL "$pid"
    while running "$state/$1.pid" >/dev/null; do sleep 0.02; done
}

roll() {
    local file name
    for file in "$state"/gateway*.sh; do
        name=$(basename "$file" .sh)
        stop "$DRAIN_SECONDS" "$state/$name.pid"
        start_again "$name"
        # The proxy must have seen it ready before the next one goes, as a deployment waits for readiness.
        sleep 2
    done
}

pid_files() { find "$state" -maxdepth 1 -name "$1*.pid" 2>/dev/null | sort; }

# What must hold before anything is started, and so before anything may be cleaned up.
check_startable() {
    local file
    for file in $(pid_files ''); do
        if running "$file" >/dev/null; then fail "already up in $state: cluster.sh down first"; fi
    done
    local needed=(redis-server redis-cli mongod python3 flock)
    if [ "$edge" = yes ]; then needed+=(haproxy prometheus); fi
    for file in "${needed[@]}"; do
        command -v "$file" >/dev/null || fail "$file is missing: make tools"
    done
}

up() {
    if [ -z "${CLUSTER_BIN:-}" ]; then cargo build --release --locked; fi
    rm -rf "$state/data" "$state/env"
    rm -f "$state"/*.pid "$state"/*.sh "$state"/*.ready "$state"/gateway*.admin "$state"/logs/*.log
    mkdir -p "$state/data" "$state/logs"
    touch "$state/running"
    start_redis
    start_mongo
    start_gateways
    if [ "$edge" = yes ]; then
        start_haproxy
        start_prometheus
    fi
    cat "$state/env"
    echo "# logs: $state/logs"
}

down() {
    local files
    # Whoever is starting a process has done so by now, and nobody starts another.
    with_lock rm -f "$state/running"
    mapfile -t files < <(pid_files gateway)
    stop "$DRAIN_SECONDS" "${files[@]}"
    mapfile -t files < <(pid_files '')
    stop 15 "${files[@]}"
    rm -rf "$state/data" "$state/env" "$state.lock"
}

status() {
    local file all=0 found=1
    for file in $(pid_files ''); do
        found=0
        if running "$file" >/dev/null; then
            printf '%-10s running, pid %s\n' "$(basename "$file" .pid)" "$(running "$file")"
        else
            printf '%-10s gone\n' "$(basename "$file" .pid)"
            all=1
        fi
    done
    [ "$found" -eq 0 ] || echo "nothing is up in $state"
    [ "$all" -eq 0 ] && [ "$found" -eq 0 ]
}

# Tells of processes that have ended, and of those that are back.
watch() {
    local file name gone='' now
    while sleep 0.5; do
        now=
        for file in "$state"/*.sh; do
            name=$(basename "$file" .sh)
            if running "$state/$name.pid" >/dev/null 2>&1; then continue; fi
            now="$now $name "
            case $gone in *" $name "*) ;; *) echo "# $name has ended: deploy/local/cluster.sh start $name, or see $state/logs/$name.log" ;; esac
        done
        for name in $gone; do
            case $now in *" $name "*) ;; *) echo "# $name is back" ;; esac
        done
        gone=$now
    done
}

# Until it is asked to stop, whatever becomes of its processes.
foreground() {
    local watcher
    check_startable
    # Bash runs this on Ctrl-C and SIGTERM too. A second Ctrl-C must not leave half a cluster behind.
    trap 'trap "" INT TERM; down' EXIT
    up
    echo "# Ctrl-C stops it"
    watch &
    watcher=$!
    # Only around `wait`: bash 5.2 misparses a trap that fires inside a command substitution.
    trap 'kill "$watcher"; echo "# stopping"; exit 0' INT TERM
    wait "$watcher"
}

case ${1:-} in
'') foreground ;;
up)
    check_startable
    trap 'down' EXIT
    up
    trap - EXIT
    ;;
down) down ;;
status) status ;;
roll) roll ;;
kill) kill_process "${2:?which gateway}" ;;
start) start_again "${2:?which gateway}" ;;
*) fail "usage: cluster.sh [up|down|status|roll|kill NAME|start NAME]" ;;
esac
