#!/usr/bin/env python3
"""Holds the compose files against their schema, and the gateways' settings in them against the gateway itself.

    compose.py HOBNOB    the program of this tree

Asserts what the files promise: three gateways, ports on loopback only, read-only roots, time to drain.
"""

import json
import os
import pathlib
import subprocess
import sys

DEPLOY = pathlib.Path(__file__).resolve().parents[1]
SECRET = "not a secret but 32 bytes long at least"
VARIANTS = {
    "compose": ["compose.yaml"],
    "compose with Sentinel": ["compose.yaml", "compose.sentinel.yaml"],
}


def main(hobnob):
    faults = []
    for name, files in VARIANTS.items():
        services = resolved(files)["services"]
        faults += [f"{name}: {fault}" for fault in promise_faults(services)]
        for gateway in gateways(services):
            faults += [f"{name}: {fault}" for fault in settings_faults(hobnob, gateway)]
    # The control: without the secret it must be refused.
    if compose(["compose.yaml"], {}).returncode == 0:
        faults.append("control: a missing secret was not refused")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"compose: {len(VARIANTS)} variants")
    sys.exit(1 if faults else 0)


def compose(files, variables):
    arguments = [argument for file in files for argument in ("--file", DEPLOY / file)]
    environment = {"PATH": os.environ["PATH"], **variables}
    command = ["docker-compose", *arguments, "config", "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def resolved(files):
    answer = compose(files, {"HOBNOB_JWT_SECRET": SECRET})
    if answer.returncode != 0 or answer.stderr:
        sys.exit(f"{' '.join(files)}: {answer.stderr}")
    return json.loads(answer.stdout)


def gateways(services):
    return [service for name, service in services.items() if name.startswith("gateway")]


def promise_faults(services):
    if len(gateways(services)) != 3:
        yield f"{len(gateways(services))} gateways"
    for gateway in gateways(services):
        # drain_grace's default, and a second for requests in flight.
        if gateway.get("stop_grace_period") != "35s":
            yield "a gateway is not given the time to drain"
    for name, service in services.items():
        if service.get("read_only") is not True or service.get("cap_drop") != ["ALL"]:
            yield f"{name} is not confined"
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                yield f"{name} is published to the world"
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and not pathlib.Path(volume["source"]).exists():
                yield f"{name}: there is no {volume['source']}"


def settings_faults(hobnob, gateway):
    """The program itself says whether it could start so."""
    checked = subprocess.run(
        [hobnob, "check-config"], capture_output=True, text=True, check=False, env=gateway["environment"]
    )
    if checked.returncode != 0:
        yield f"check-config: {checked.stderr}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]).resolve())
