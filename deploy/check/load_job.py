#!/usr/bin/env python3
"""Runs the Job of k8s/load-test as it is rendered, against gateways behind HAProxy under the Service's name; then the same
by TLS, with a private authority.

    load_job.py BINARIES    the folder with this tree's hobnob and hobnob-load

Of the Job's arguments only the time is shortened. The control: without the authority's certificate it must refuse.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import isolated
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "deploy/local/cluster.sh"
SECONDS = 10
SERVICE = "hobnob"


def main(binaries, scratch):
    forget = isolated.name_hosts({SERVICE: "127.0.0.1"}, scratch)
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.tools/bin'}:{os.environ['PATH']}:/usr/sbin",
        "CLUSTER_DIR": str(scratch / "cluster"),
        "CLUSTER_BIN": str(binaries / "hobnob"),
        "EDGE": "no",
    }
    subprocess.run([CLUSTER, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
    proxy = None
    try:
        make_certificates(scratch)
        proxy = subprocess.Popen(["haproxy", "-db", "-f", haproxy(scratch, environment)], env=environment)
        until_it_listens(proxy)
        arguments = job_arguments()
        trusting = f"--ca={scratch}/ca.pem"
        told = [
            run(binaries, scratch, arguments, "as rendered"),
            run(binaries, scratch, [*moved(arguments, f"https://{SERVICE}"), trusting], "https"),
            run(binaries, scratch, [*moved(arguments, "wss://[::1]:8443"), trusting], "wss, IPv6"),
        ]
        distrusted(binaries, moved(arguments, f"https://{SERVICE}"))
    finally:
        if proxy:
            proxy.kill()
            proxy.wait()
        subprocess.run([CLUSTER, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)
        forget()
    print("load job: " + "; ".join(told))


def job_arguments():
    rendered = subprocess.run(["kubectl", "kustomize", ROOT / "k8s/load-test"], capture_output=True, text=True, check=True)
    (job,) = (found for found in yaml.safe_load_all(rendered.stdout) if found["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    if f"--gateways=http://{SERVICE}" not in container["args"]:
        sys.exit(f"load job: it does not ask {SERVICE}: {container['args']}")
    return [f"--seconds={SECONDS}" if part.startswith("--seconds=") else part for part in container["args"]]


def moved(arguments, address):
    return [f"--gateways={address}" if part.startswith("--gateways=") else part for part in arguments]


def make_certificates(scratch):
    """An authority, and what HAProxy needs: a certificate by it, with its key."""
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-subj", "/CN=load job CA", "-addext", "basicConstraints=critical,CA:TRUE"]
    names = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName=DNS:{SERVICE},IP:::1"]
    signed = ["-CA", scratch / "ca.pem", "-CAkey", scratch / "ca.key", "-subj", f"/CN={SERVICE}", *names]
    for name, arguments in ("ca", authority), ("server", signed):
        files = ["-keyout", scratch / f"{name}.key", "-out", scratch / f"{name}.pem"]
        subprocess.run([*request, *files, *arguments], check=True, capture_output=True)
    (scratch / "bundle.pem").write_text((scratch / "server.pem").read_text() + (scratch / "server.key").read_text())


def haproxy(scratch, environment):
    """deploy/haproxy for these gateways, with TLS where its first lines say to put it, on the ports of the Service."""
    (state,) = [scratch / "cluster/env"]
    addresses = state.read_text().splitlines()[:2]
    ports = [[url.rsplit(":", 1)[1].strip('"') for url in line.split("=", 1)[1].split()] for line in addresses]
    servers = [f"127.0.0.1:{port}:{admin}" for port, admin in zip(*ports, strict=True)]
    generated = subprocess.run(
        [ROOT / "deploy/local/haproxy_config.sh", *servers], env=environment, capture_output=True, text=True, check=True
    )
    bind = '    bind "${HOBNOB_EDGE}"\n'
    secure = f"ssl crt {scratch}/bundle.pem alpn http/1.1\n"
    if generated.stdout.count(bind) != 1:
        sys.exit("load job: where does HAProxy listen?")
    more = bind + f"    bind 127.0.0.1:443 {secure}    bind [::1]:8443 {secure}"
    file = scratch / "haproxy.cfg"
    file.write_text(generated.stdout.replace(bind, more))
    environment |= {"HOBNOB_EDGE": "127.0.0.1:80", "HOBNOB_EDGE_STATS": "127.0.0.1:8404", "HOBNOB_EDGE_CLIENTS": "2000"}
    return file


def until_it_listens(proxy):
    deadline = time.monotonic() + 20
    while subprocess.run(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/443"], capture_output=True, check=False).returncode:
        if proxy.poll() is not None or time.monotonic() > deadline:
            sys.exit("load job: HAProxy does not listen")
        time.sleep(0.1)


def run(binaries, scratch, arguments, how):
    report = scratch / "report.json"
    # This is not about times, and a machine that checks has others to work for.
    command = [binaries / "hobnob-load", *arguments, "--json", report, "--late-ms", "2000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"load job: {how}: status {done.returncode}: {done.stdout}{done.stderr}")
    acknowledged = json.loads(report.read_text())["balance"]["acknowledged"]
    if acknowledged < SECONDS * 10:
        sys.exit(f"load job: {how}: the run proves little: {acknowledged} acknowledged")
    return f"{how}: {acknowledged} acknowledged, none lost"


def distrusted(binaries, arguments):
    done = subprocess.run([binaries / "hobnob-load", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 2 or "certificate" not in done.stderr:
        sys.exit(f"load job: control: an unknown authority was believed: {done.returncode} {done.stderr}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    isolated.enter()
    with tempfile.TemporaryDirectory() as folder:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
