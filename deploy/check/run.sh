#!/usr/bin/env bash
# `make ops`: everything in deploy/ and k8s/ held against the tools that will read it. Needs no network, and no cluster;
# `make ops-live` runs the picture for real. Each check is a line with its time; the first that fails ends the run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Debian keeps servers where only root's PATH looks.
PATH="$PWD/.tools/bin:$PWD/.tools/python/bin:$PATH:/usr/sbin:/sbin"

readonly BINARIES=${BINARIES:-target/debug}
readonly TOOLS=(amtool buildah checkov docker-compose hadolint haproxy ip kubectl nginx node openssl prometheus
    prometheus-alertmanager promtool python redis-server shellcheck systemd-analyze yamllint)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
count=0

fail() {
    printf 'ops: %s\n' "$*" >&2
    exit 1
}

# attempt COMMAND...: its status is in `status`, what it said in $scratch/said. Never the condition of an `if`: there Bash
# switches `set -e` off inside the command, and of a check in several steps only the last one would count.
attempt() {
    set +e
    (
        set -e
        "$@"
    ) >"$scratch/said" 2>&1
    status=$?
    set -e
}

# check NAME COMMAND...: quiet when it passes, all it said when it does not.
check() {
    local name=$1 began=$SECONDS status
    shift
    attempt "$@"
    if [ "$status" -ne 0 ]; then
        cat "$scratch/said" >&2
        fail "$name failed"
    fi
    count=$((count + 1))
    printf '%-24s %3d s  %s\n' "$name" $((SECONDS - began)) "$(tail -n 1 "$scratch/said" | cut -c 1-160)"
}

# The controls of this script: a check that goes wrong in its first step, and one that calls `fail`, are seen to.
wrong_at_first() {
    false
    echo "went on"
}
says_why() { fail "the reason"; }
controls() {
    local status
    attempt wrong_at_first
    [ "$status" -ne 0 ] || fail "control: a step that failed did not end its check"
    attempt says_why
    { [ "$status" -ne 0 ] && grep -qx 'ops: the reason' "$scratch/said"; } || fail "control: a check failed without a word"
    # Through `check` itself, in a shell of its own, since it is to end that.
    set +e
    (
        set -e
        check "control" wrong_at_first
    ) >"$scratch/control" 2>&1
    status=$?
    set -e
    [ "$status" -ne 0 ] || fail "control: a check that failed did not end the run"
}

# Every file that says it is one, whatever its name.
shell() {
    local file first scripts=()
    while IFS= read -r -d '' file; do
        if IFS= read -r first <"$file" && [[ $first =~ ^#!.*[/\ ](ba)?sh$ ]]; then scripts+=("$file"); fi
    done < <(git ls-files -z -- .ci deploy)
    [ "${#scripts[@]}" -gt 5 ] || fail "where are the scripts?"
    shellcheck "${scripts[@]}"
    echo "${#scripts[@]} scripts"
}

# Once all is there, as it is now, neither `make tools` nor what depends on it (`make cluster`) needs the network.
offline() { unshare --net deploy/local/tools.sh; }

yaml() { yamllint --strict --config-file deploy/check/yamllint.yaml deploy k8s; }

default_configuration() {
    "$BINARIES/hobnob" config --default | diff deploy/hobnob.toml - ||
        fail "deploy/hobnob.toml is old: hobnob config --default >deploy/hobnob.toml"
    env -i HOME=/nowhere "$BINARIES/hobnob" check-config --config deploy/hobnob.toml
}

proxies() {
    # -dW: a warning is an error. Names of containers cannot be resolved here, so they are replaced as cluster.sh does.
    deploy/local/haproxy_config.sh 127.0.0.1:3001:9091 127.0.0.1:3002:9092 127.0.0.1:3003:9093 >"$scratch/haproxy.cfg"
    haproxy -c -dW -f "$scratch/haproxy.cfg"
    python deploy/check/ingress_snippet.py >"$scratch/snippet.cfg"
    haproxy -c -dW -f "$scratch/snippet.cfg"
    sed "s|worker_processes|pid $scratch/nginx.pid; error_log stderr; &|" deploy/nginx/nginx.conf >"$scratch/nginx.conf"
    nginx -t -q -c "$scratch/nginx.conf"
}

# Sentinel has no way to check a configuration: it is started, without a primary to look after.
sentinel() {
    local port pid deadline=$((SECONDS + 20))
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed "s|^port .*|port $port|; s|^dir .*|dir $scratch|; s|monitor hobnob redis|monitor hobnob 127.0.0.1|" \
        deploy/redis/sentinel.conf >"$scratch/sentinel.conf"
    redis-server "$scratch/sentinel.conf" --sentinel --bind 127.0.0.1 &
    pid=$!
    until redis-cli -p "$port" sentinel get-master-addr-by-name hobnob | grep -qx 6379; do
        kill -0 "$pid" || fail "Sentinel ended"
        [ "$SECONDS" -lt "$deadline" ] || fail "Sentinel does not know the primary"
        sleep 0.1
    done
    kill "$pid"
    wait "$pid" || true
    echo "knows the primary by its name"
}

unit() {
    # Held against this tree's program, which is not in /usr/local/bin.
    sed "s|/usr/local/bin/hobnob|$(realpath "$BINARIES/hobnob")|" deploy/systemd/hobnob.service >"$scratch/hobnob.service"
    systemd-analyze verify --man=no "$scratch/hobnob.service"
    # The scale is systemd's: 0 is the best, 10 the worst; most services of a distribution have 9.
    systemd-analyze security --no-pager --offline=true --threshold=20 "$scratch/hobnob.service"
}

watching() {
    promtool check config deploy/prometheus/prometheus.yml
    promtool check rules deploy/prometheus/rules.yml
    amtool check-config deploy/alertmanager/alertmanager.yml
}

alerts() { promtool test rules deploy/prometheus/rules.test.yml; }

kubernetes() { python deploy/check/kubernetes.py "$scratch/rendered"; }

custom_resources() { node deploy/check/crds/check.mjs "$scratch/rendered/custom.json"; }

policy() {
    checkov --config-file deploy/check/checkov.yaml --framework dockerfile --file deploy/Dockerfile
    checkov --config-file deploy/check/checkov.yaml --framework kubernetes --directory "$scratch/rendered"
    # The control: checkov must still find what is wrong.
    sed 's/allowPrivilegeEscalation: false/allowPrivilegeEscalation: true/' "$scratch/rendered/overlay-production.yaml" \
        >"$scratch/bad.yaml"
    if checkov --config-file deploy/check/checkov.yaml --framework kubernetes --file "$scratch/bad.yaml" >/dev/null; then
        fail "control: checkov let a privileged container pass"
    fi
}

# Counted by what checkov says of both runs, since it exits with 0 when it was given nothing to check.
policy_counted() {
    policy | tee "$scratch/policy"
    [ "$(grep -c 'Passed checks: [1-9]' "$scratch/policy")" -eq 2 ] || fail "checkov checked nothing"
}

for tool in "${TOOLS[@]}"; do
    command -v "$tool" >/dev/null || fail "$tool is missing: deploy/local/tools.sh ops"
done
for program in hobnob hobnob-load; do
    [ -x "$BINARIES/$program" ] || fail "no $program in $BINARIES: cargo build --workspace --bins"
done

controls
check "shell scripts" shell
check "tools, offline" offline
check "YAML" yaml
check "default configuration" default_configuration
check "HAProxy, nginx" proxies
check "Sentinel" sentinel
check "systemd unit" unit
check "Prometheus, Alertmanager" watching
check "alerts" alerts
check "metric names" python deploy/check/metrics.py
check "compose" python deploy/check/compose.py "$BINARIES/hobnob"
check "compose, started" python deploy/check/compose_run.py "$BINARIES"
check "cluster, played with" python deploy/check/cluster_play.py "$BINARIES"
check "load job, started" python deploy/check/load_job.py "$BINARIES"
check "Kubernetes schemas" kubernetes
check "custom resources" custom_resources
check "Dockerfile" hadolint deploy/Dockerfile
check "policy" policy_counted
check "image" deploy/check/image.sh "$BINARIES"
printf 'ops: %d checks passed in %d s\n' "$count" "$SECONDS"
