#!/usr/bin/env python3
"""`make ops-live`: the picture of deploy/local/cluster.sh for real, broken under load.

    live.py BINARIES    the folder with this tree's hobnob and hobnob-load

Three gateways behind HAProxy, Prometheus with the rules of production. First, clients that poll must stay where they
are, behind HAProxy and behind nginx. Then, while hobnob-load sends through HAProxy, the gateways are restarted one after
the other, and one is killed with SIGKILL. Nothing may be lost; the alert for the dead gateway must fire for it, no other
alert may fire at any time, and it must resolve once the gateway is back.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import metrics

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "deploy/local/cluster.sh"
USERS = 60
SENDING_SECONDS, ROLL_AT = 85, 5
# Three drains and starts, with the pauses between them.
KILLED_SECONDS = 120
VICTIM = "gateway2"
# From SIGKILL: a scrape (5 s), `for` (30 s), an evaluation (5 s), and as much again for a slow machine.
FIRING_SECONDS = 80
RESOLVED_SECONDS = 60


def main(binaries, scratch):
    environment = {
        **os.environ,
        "CLUSTER_DIR": str(scratch / "cluster"),
        "CLUSTER_BIN": str(binaries / "hobnob"),
        "PATH": f"{ROOT / '.tools/bin'}:{os.environ['PATH']}",
        # Three drains in a row are part of the run.
        "HOBNOB_DRAIN_GRACE": "5s",
        # Everybody here comes from one address.
        "HOBNOB_SIGN_IN_RATE": "0",
        "HOBNOB_HANDSHAKE_RATE": "0",
    }
    try:
        cluster(environment, "up")
        addresses = read_addresses(scratch / "cluster/env")
        be_refused(addresses["EDGE_URL"])
        exposition(addresses["CLUSTER_ADMIN_URLS"].split()[0])
        polling("HAProxy", addresses["EDGE_URL"])
        with nginx(scratch, addresses["CLUSTER_URLS"].split()) as url:
            polling("nginx", url)
        alerts = under_load(binaries, scratch, environment, addresses)
        boards(addresses["PROMETHEUS_URL"], admin_of(VICTIM, scratch))
        judge(json.loads((scratch / "report.json").read_text()), alerts)
    except BaseException:
        for log in sorted((scratch / "cluster/logs").glob("*.log")):
            print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
        raise
    finally:
        cluster(environment, "down")


def cluster(environment, *arguments):
    subprocess.run([CLUSTER, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


def read_addresses(file):
    lines = file.read_text().replace("export ", "").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def be_refused(url):
    """So that there are failed requests to count: nothing else in this run is refused."""
    try:
        urllib.request.urlopen(f"{url}/me", timeout=5)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return
    sys.exit("live: a request without a token was not refused")


def exposition(admin):
    """What a gateway exposes, as Prometheus' own linter sees it."""
    with urllib.request.urlopen(f"{admin}/metrics", timeout=5) as answer:
        text = answer.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    if checked.returncode != 0 or checked.stdout or checked.stderr:
        sys.exit(f"live: promtool check metrics: {checked.stdout.decode()}{checked.stderr.decode()}")
    print("live: promtool finds nothing wrong with the metrics")


def polling(proxy, url):
    print(f"live: {proxy}: ", end="", flush=True)
    subprocess.run(["node", ROOT / "deploy/check/polling.mjs", url], check=True)


@contextlib.contextmanager
def nginx(scratch, gateways):
    """deploy/nginx/nginx.conf in front of these gateways, on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    text = (ROOT / "deploy/nginx/nginx.conf").read_text()
    for port, gateway in zip((3001, 3002, 3003), gateways, strict=True):
        text = text.replace(f"127.0.0.1:{port} ", f"{urllib.parse.urlsplit(gateway).netloc} ")
    text = text.replace("listen [::]:8080;", "").replace("listen 8080;", f"listen {address};")
    # The open file limit of a user is lower than that of a service.
    text = text.replace("worker_rlimit_nofile 65536;", f"daemon off; pid {scratch}/nginx.pid; error_log stderr;")
    text = text.replace("worker_connections 20000;", "worker_connections 2000;")
    (scratch / "nginx.conf").write_text(text)
    path = os.environ["PATH"] + ":/usr/sbin"
    server = subprocess.Popen(["nginx", "-c", scratch / "nginx.conf"], env={**os.environ, "PATH": path})
    try:
        until_answered(f"http://{address}/openapi.json", server)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()


def until_answered(url, server):
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"live: {url}: {error}")
        time.sleep(0.1)


def under_load(binaries, scratch, environment, addresses):
    """Runs the load and the faults, and returns the instances for which each alert ever fired."""
    command = [
        binaries / "hobnob-load", "check", "--gateways", addresses["EDGE_URL"],
        "--users", str(USERS), "--seconds", str(SENDING_SECONDS), "--json", scratch / "report.json",
        "--at", f"{ROLL_AT}={CLUSTER} roll && {CLUSTER} kill {VICTIM} && touch {scratch}/killed",
    ]  # fmt: skip
    victim = admin_of(VICTIM, scratch)
    watch = Watch(addresses["PROMETHEUS_URL"])
    # In a session of its own, so that a failed run also ends a `roll` that would start gateways behind our back.
    load = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True)
    try:
        spread(scratch, watch)
        watch.until((scratch / "killed").exists, KILLED_SECONDS, "the rolling restart, and the kill after it")
        killed = time.monotonic()
        watch.until(lambda: victim in watch.now.get("HobnobGatewayDown", ()), FIRING_SECONDS, "the alert to fire")
        print(f"live: the alert fired {time.monotonic() - killed:.0f} s after SIGKILL")
        cluster(environment, "start", VICTIM)
        back = time.monotonic()
        watch.until(lambda: not watch.now, RESOLVED_SECONDS, "the alert to resolve")
        print(f"live: and resolved {time.monotonic() - back:.0f} s after the gateway was back")
        watch.until(lambda: load.poll() is not None, SENDING_SECONDS + 120, "the load to end")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(load.pid, signal.SIGKILL)
        load.wait()
    return {"ever": watch.ever, "victim": victim}


def spread(scratch, watch):
    """Waits until all of the load's WebSockets are there, leastconn having spread them."""
    (targets,) = json.loads((scratch / "cluster/prometheus/targets/haproxy.yml").read_text())
    counts = []

    def arrived():
        counts[:] = open_connections(f"http://{targets['targets'][0]}/metrics")
        # Requests under way count for a moment, too: it is even once they have gone.
        return len(counts) == 3 and sum(counts) >= USERS and max(counts) - min(counts) <= USERS / 10

    try:
        watch.until(arrived, 60, f"{USERS} WebSockets, spread evenly")
    except SystemExit as waited:
        sys.exit(f"{waited}; HAProxy counts {counts}")
    print(f"live: HAProxy spread {USERS} WebSockets over the gateways as {counts}")


def open_connections(url):
    """To each server of the backend that is balanced by leastconn."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    pattern = r'^haproxy_server_current_sessions\{proxy="gateways",server="[^"]*"\} (\d+)'
    return [int(count) for count in re.findall(pattern, text, re.MULTILINE)]


def boards(prometheus, instance):
    """Every expression of the dashboards has data by now, looking back over the whole run."""
    empty, count = [], 0
    for file in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        for where, text in metrics.dashboard_expressions(json.loads(file.read_text()), {"$instance": instance}):
            count += 1
            query = urllib.parse.urlencode({"query": text})
            with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as answer:
                if not json.load(answer)["data"]["result"]:
                    empty.append(f"{file.name}: {where}: {text}")
    if empty:
        sys.exit("live: panels without data:\n" + "\n".join(empty))
    print(f"live: {count} expressions of the dashboards have data")


def admin_of(gateway, scratch):
    return "127.0.0.1:" + (scratch / f"cluster/{gateway}.admin").read_text().strip()


class Watch:
    """What Prometheus says is firing: now, and ever since."""

    def __init__(self, url):
        self.url = url
        self.now = {}
        self.ever = {}

    def look(self):
        with urllib.request.urlopen(urllib.parse.urljoin(self.url, "/api/v1/alerts"), timeout=5) as answer:
            alerts = json.load(answer)["data"]["alerts"]
        self.now = {}
        for alert in alerts:
            if alert["state"] == "firing":
                name, instance = alert["labels"]["alertname"], alert["labels"].get("instance", "")
                self.now.setdefault(name, set()).add(instance)
                self.ever.setdefault(name, set()).add(instance)

    def until(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            if condition():
                return
            if time.monotonic() > deadline:
                sys.exit(f"live: waited {seconds} s for {what}; firing: {self.now}")
            time.sleep(0.5)


def judge(report, alerts):
    balance = report["balance"]
    if report["verdict"] != "pass":
        sys.exit(f"live: the delivery checker says {report['verdict']}: {balance}")
    if balance["acknowledged"] < SENDING_SECONDS * 10 or balance["reconnects"] == 0:
        sys.exit(f"live: the run proves little: {balance}")
    if alerts["ever"] != {"HobnobGatewayDown": {alerts["victim"]}}:
        sys.exit(f"live: other alerts fired than the one for {alerts['victim']}: {alerts['ever']}")
    print(
        f"live: {balance['acknowledged']} messages acknowledged through HAProxy over a rolling restart and a kill -9, "
        f"{balance['deliveries']} deliveries, {balance['reconnects']} reconnects; lost 0, repeated 0, out of order 0"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
