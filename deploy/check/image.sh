#!/usr/bin/env bash
# Builds the images of deploy/Dockerfile without a registry, and runs the gateway's as a container would.
#
#   image.sh BINARIES     the folder with this tree's hobnob and hobnob-load, and cargo's list of what they were made of
#
# Every instruction of the Dockerfile is carried out, by buildah. Two things stand in for what only a registry has: the
# base image is a Debian made by debootstrap (`make tools`), and in the build image `cargo` is a script that hands out
# BINARIES after it has seen that the sources they were compiled from are all there. Compiling once more would double the
# time of CI. The container is a mount namespace: read-only root, the image's own user, no new privileges.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly BASE_TAR=.tools/debian-base.tar
binaries=$(realpath "${1:?the folder of the binaries}")
scratch=$(mktemp -d)
started=

buildah() {
    command buildah --root "$scratch/root" --runroot "$scratch/run" --storage-driver "${STORAGE_DRIVER:-overlay}" "$@"
}

fail() {
    printf 'image: %s\n' "$*" >&2
    if [ -s "$scratch/gateway.log" ]; then tail -n 20 "$scratch/gateway.log" >&2; fi
    exit 1
}

clean_up() {
    if [ -n "$started" ]; then kill -KILL "$started" 2>/dev/null || true; fi
    buildah umount --all >/dev/null 2>&1 || true
    buildah rm --all >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap clean_up EXIT

# What the Dockerfile names as its base images.
base_images() {
    local container
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$BASE_TAR" / >/dev/null
    buildah commit --quiet --format docker "$container" localhost/runtime:check >/dev/null
    # Paths after the colon in cargo's list, of this tree only: sources and the documents compiled in.
    sed -n 's/^[^:]*: //p' "$binaries/hobnob.d" "$binaries/hobnob-load.d" | tr ' ' '\n' |
        sed -n "s|^$PWD/||p" | sort -u >"$scratch/sources"
    grep -q '^src/main.rs$' "$scratch/sources" || fail "$binaries was not built in this tree"
    install -D deploy/check/stand-in-cargo "$scratch/stand-in/usr/local/bin/cargo"
    install -D -t "$scratch/stand-in/stand-in" "$scratch/sources"
    install -D -s -t "$scratch/stand-in/stand-in" "$binaries/hobnob" "$binaries/hobnob-load"
    buildah add --quiet "$container" "$scratch/stand-in" / >/dev/null
    buildah commit --quiet --format docker "$container" localhost/build:check >/dev/null
}

build() {
    buildah build --quiet --pull-never --isolation chroot --format docker --file deploy/Dockerfile \
        --ignorefile deploy/Dockerfile.dockerignore --build-arg BUILD_IMAGE=localhost/build:check \
        --build-arg RUNTIME_IMAGE=localhost/runtime:check --target "$1" --tag "localhost/$1:check" . >/dev/null
}

# The part of the image's configuration that Python expression $1 names, one item a line; `config` is Docker's.
configured() {
    # shellcheck disable=SC2016 # Python's
    buildah inspect --type image localhost/gateway:check | python3 -c '
import json, sys
config = json.load(sys.stdin)["Docker"]["config"]
found = eval(sys.argv[1])
print(found if isinstance(found, str) else "\n".join(found))' "$1"
}

# contained [VARIABLE=VALUE...] -- COMMAND...: in the container, as a container engine with --read-only would do it. A
# memory file system stands for the volume when VOLUME is set. Never returns: call it in a subshell, whose process the
# command then is.
contained() {
    local variables=("${environment[@]}")
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    # shellcheck disable=SC2016 # the inner shell expands them
    exec unshare --mount --propagation private sh -c '
        root=$1 user=$2 volume=$3
        shift 3
        mount --bind "$root" "$root"
        mount --bind /proc "$root/proc"
        mount --bind /dev "$root/dev"
        if [ -n "$volume" ]; then
            mount -t tmpfs -o "uid=${user%:*},gid=${user#*:},mode=0750" volume "$root/var/lib/hobnob"
        fi
        mount -o remount,bind,ro "$root"
        if touch "$root/usr/written" 2>/dev/null; then echo "the root is not read-only" >&2; exit 99; fi
        exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"' \
        sh "$root" "$user" "${VOLUME:-}" "${variables[@]}" "$@"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts the image's own command in the background and waits until the image's own health check is content.
start() {
    contained "$@" -- "${entrypoint[@]}" >"$scratch/gateway.log" 2>&1 &
    started=$!
    local deadline=$((SECONDS + 30))
    until (contained "$@" -- "${healthcheck[@]}") 2>"$scratch/health.log"; do
        kill -0 "$started" 2>/dev/null || fail "the gateway ended"
        [ "$SECONDS" -lt "$deadline" ] || fail "not healthy: $(cat "$scratch/health.log")"
        sleep 0.2
    done
    # The command was exec'd all the way: the background process is the gateway itself.
    [ "$(ps -o uid= -p "$started" | tr -d ' ')" = "${user%:*}" ] || fail "the gateway does not run as user $user"
    grep -q '^NoNewPrivs:.1$' "/proc/$started/status" || fail "the gateway may gain privileges"
    grep -q '^CapEff:.0*$' "/proc/$started/status" || fail "the gateway has capabilities"
}

stop() {
    local status=0
    kill "-$(configured 'config["StopSignal"]')" "$started"
    wait "$started" || status=$?
    started=
    [ "$status" -eq 0 ] || fail "stopped with status $status"
}

# A gateway of a cluster needs no place to write to at all.
run_clustered() {
    export CLUSTER_DIR="$scratch/cluster" CLUSTER_BIN="$binaries/hobnob" GATEWAYS=1 EDGE=no
    deploy/local/cluster.sh up >/dev/null
    # shellcheck source=/dev/null
    . "$CLUSTER_DIR/env"
    start "${addresses[@]}" "HOBNOB_REDIS_URL=$HOBNOB_REDIS_URL" "HOBNOB_MONGODB_URI=$HOBNOB_MONGODB_URI" \
        HOBNOB_JWT_SECRET=not-a-secret-but-32-bytes-long-at-least
    stop
    deploy/local/cluster.sh down
}

[ "$(id -u)" -eq 0 ] || fail "mounts and users need root"
[ -s "$BASE_TAR" ] || fail "$BASE_TAR is missing: make tools"
base_images
build load
build gateway
container=$(buildah from --pull-never localhost/gateway:check)
root=$(buildah mount "$container")
user=$(configured 'config["User"]')
mapfile -t environment < <(configured 'config["Env"]')
mapfile -t entrypoint < <(configured 'config["Entrypoint"] + (config["Cmd"] or [])')
mapfile -t healthcheck < <(configured 'config["Healthcheck"]["Test"][1:]')
addresses=("HOBNOB_LISTEN=127.0.0.1:$(free_port)" "HOBNOB_ADMIN_LISTEN=127.0.0.1:$(free_port)")

(contained -- "${entrypoint[@]}" version) >/dev/null || fail "the program does not run"
if (contained "${addresses[@]}" -- "${entrypoint[@]}") >"$scratch/gateway.log" 2>&1; then
    fail "the embedded store wrote to a read-only root"
fi
VOLUME=yes start "${addresses[@]}"
stop
run_clustered
size=$(buildah images --format '{{.Size}}' localhost/gateway:check)
echo "image: built, $size with its base; ran as $user on a read-only root, embedded and clustered, and drained to status 0"
