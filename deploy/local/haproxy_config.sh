#!/usr/bin/env bash
# haproxy_config.sh HOST:PORT:ADMIN_PORT...: deploy/haproxy/haproxy.cfg for gateways at these addresses, on stdout.
#
# Replaces the `server` lines and nothing else, so that what is tested is what is deployed.
set -euo pipefail

exec awk -v addresses="$*" '
    BEGIN { count = split(addresses, gateways, " ") }
    /^backend / { backend = $2; written = 0 }
    # Addresses of this kind are resolved by nobody.
    /default-server/ { sub(/ init-addr .*/, ""); if ($0 ~ /^ *default-server$/) next }
    /^ *server / {
        if (written++) next
        for (i = 1; i <= count; i++) {
            split(gateways[i], part, ":")
            printf "    server gateway%d %s:%s ", i, part[1], part[2]
            if (backend == "polling") printf "port %s\n", part[3]
            else printf "track polling/gateway%d\n", i
        }
        next
    }
    { print }
' "$(dirname "${BASH_SOURCE[0]}")/../haproxy/haproxy.cfg"
