#!/usr/bin/env python3
"""Starts what the compose files would start, without a container engine, and sends messages through it.

    compose_run.py BINARIES    the folder with this tree's hobnob and hobnob-load

Commands, arguments, environment, mounted files, health checks and their order are taken from the files (as docker-compose
resolves them) and from the Dockerfile. Replaced are paths that exist only in a container, and addresses: each service has a
loopback address of its own, under its name, in a network that nobody else sees. Grafana, which Debian does not have, is left
out. With Sentinel the primary is killed while messages are sent, and the replica must take its place.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import compose
import isolated

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
MONGOSH = ROOT / "deploy/check/mongosh/node_modules/.bin"
HEALTHY_SECONDS = 90
LEFT_OUT = ["grafana"]
# What an image runs when the file says nothing, or before its arguments.
ENTRYPOINTS = {
    "haproxy": ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
    "prom/prometheus": ["prometheus"],
    "prom/alertmanager": ["prometheus-alertmanager"],
}
# The ports of those that would otherwise take them on every address; {0} is the service's own. The image of Redis is built
# without protected mode, which here would take the others for strangers.
BOUND = {
    "redis": " --bind {0} --bind-source-addr {0} --protected-mode no",
    "prom/prometheus": " --web.listen-address={0}:9090",
    "prom/alertmanager": " --web.listen-address={0}:9093",
}


def main(binaries):
    isolated.enter()
    for name, files in compose.VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            variant = Variant(compose.resolved(files)["services"], binaries, pathlib.Path(folder))
            try:
                variant.start()
                said = variant.carry("redis" if "redis-replica" in variant.services else None)
            except BaseException:
                variant.tell()
                raise
            finally:
                variant.stop()
        print(f"{name}: {len(variant.services)} services; {said}")


class Variant:
    def __init__(self, services, binaries, scratch):
        self.services = {name: service for name, service in services.items() if name not in LEFT_OUT}
        self.binaries, self.scratch = binaries, scratch
        self.addresses = {name: f"127.0.1.{number}" for number, name in enumerate(self.services, 1)}
        self.processes, self.logs = {}, {}
        self.environment = {"HOME": str(scratch), "PATH": self.programs()}
        self.forget = isolated.name_hosts(self.addresses, scratch)

    def programs(self):
        """The search path; redis-sentinel is redis-server by another name."""
        folder = self.scratch / "bin"
        folder.mkdir()
        (folder / "redis-sentinel").symlink_to(shutil.which("redis-server"))
        return f"{folder}:{MONGOSH}:{ROOT / '.tools/bin'}:{os.environ['PATH']}:/usr/sbin"

    def start(self):
        waiting = dict(self.services)
        while waiting:
            ready = [name for name in waiting if not needed(waiting[name]) & set(waiting)]
            assert ready, f"these wait for each other: {waiting}"
            for name in ready:
                self.launch(name, waiting.pop(name))
            for name in ready:
                self.healthy(name)

    def launch(self, name, service):
        image = service["image"].rsplit(":", 1)[0]
        command = self.program(name, service, image)
        self.logs[name] = self.scratch / f"{name}.log"
        with self.logs[name].open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.variables(name, service), stdout=log, stderr=log, cwd=self.scratch
            )

    def program(self, name, service, image):
        command = list(service.get("command") or [])
        if "build" in service:
            command = [str(self.binaries / "hobnob"), *command]
        command = [*ENTRYPOINTS.get(image, []), *command]
        command = [self.inside(name, service, part) for part in command]
        bound = BOUND.get(image, "").format(self.addresses[name])
        if image == "mongo":
            bound = f" --dbpath {self.folder(name, '/data/db')}"
        if command[0] == "sh":
            return [*command[:-1], command[-1] + bound]
        return [*command, *shlex.split(bound)]

    def variables(self, name, service):
        built = image_environment() if "build" in service else {}
        variables = {**built, **(service.get("environment") or {})}
        here = {key: value.replace("0.0.0.0", self.addresses[name]) for key, value in variables.items()}
        if name == "haproxy":
            # It takes two files for each client it has room for, of the few that this user may have.
            here["HOBNOB_EDGE_CLIENTS"] = "2000"
        return {**here, **self.environment}

    def inside(self, name, service, text):
        """The text with the container's paths replaced by those of this machine."""
        places = {}
        for volume in service.get("volumes", []):
            is_bind = volume["type"] == "bind"
            places[volume["target"]] = volume["source"] if is_bind else self.folder(name, volume["target"])
        for mount in service.get("tmpfs", []):
            target = mount.split(":")[0]
            places[target] = self.folder(name, target)
        if not places:
            return text
        for target, source in places.items():
            # What a mounted file says of paths is said of the container's, too.
            if pathlib.Path(source).is_file() and any(place + "\n" in pathlib.Path(source).read_text() for place in places):
                places[target] = self.copy(name, source, places)
        return replaced(text, places)

    def copy(self, name, source, places):
        copied = pathlib.Path(self.folder(name, "/mounted"), pathlib.Path(source).name)
        copied.write_text(replaced(pathlib.Path(source).read_text(), places))
        return str(copied)

    def folder(self, name, target):
        folder = self.scratch / name / target.strip("/").replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def healthy(self, name):
        service = self.services[name]
        test = (service.get("healthcheck") or {}).get("test")
        if "build" in service:
            test = ["CMD", str(self.binaries / "hobnob"), *healthcheck_arguments()]
        if test is None:
            return
        command = [self.inside(name, service, part) for part in test[1:]]
        if command[0] == "redis-cli":
            command[1:1] = ["-h", self.addresses[name]]
        environment = self.variables(name, service)
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                return
            if self.processes[name].poll() is not None:
                raise SystemExit(f"compose: {name} ended with status {self.processes[name].returncode}")
            if time.monotonic() > deadline:
                raise SystemExit(f"compose: {name} is not healthy: {asked.stdout}{asked.stderr}")
            time.sleep(0.2)

    def carry(self, victim):
        """Sends messages through the proxy and to each gateway, while a service is killed, and returns what came of it."""
        addresses = [f"http://{name}:3000" for name, service in self.services.items() if "build" in service]
        addresses.append("http://haproxy:8080")
        for address in addresses:
            until_answered(f"{address}/openapi.json")
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        if ended:
            raise SystemExit(f"compose: ended by themselves: {ended}")
        report = self.scratch / "report.json"
        command = [self.binaries / "hobnob-load", "check", "--gateways", ",".join(addresses)]
        command += ["--users", "12", "--rooms", "3", "--members", "4", "--seconds", "10", "--json", report]
        # This is not about times, and a machine that checks has others to work for.
        command += ["--late-ms", "2000"]
        if victim:
            command += ["--at", f"3=kill -KILL {self.processes[victim].pid}"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"compose: the load ended with status {done.returncode}: {done.stdout}{done.stderr}")
        balance = json.loads(report.read_text())["balance"]
        assert balance["acknowledged"] >= 100, balance
        said = f"{balance['acknowledged']} messages acknowledged, {balance['deliveries']} delivered, none lost"
        if victim:
            self.promoted(f"{victim}-replica")
            said += f", {victim} killed meanwhile and its replica promoted"
        return said

    def promoted(self, replica):
        command = ["redis-cli", "-h", self.addresses[replica], "role"]
        deadline = time.monotonic() + 30
        while not subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("master"):
            assert time.monotonic() < deadline, f"{replica} was not promoted"
            time.sleep(0.2)
        channels = ["redis-cli", "-h", self.addresses[replica], "pubsub", "channels", "hobnob:*"]
        while not subprocess.run(channels, capture_output=True, text=True, check=True).stdout.strip():
            assert time.monotonic() < deadline, f"no gateway subscribes at {replica}"
            time.sleep(0.2)

    def tell(self):
        for name, log in self.logs.items():
            print(f"--- {name}", *log.read_text(errors="replace").splitlines()[-12:], sep="\n", file=sys.stderr)

    def stop(self):
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        self.forget()


def until_answered(url):
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"compose: {url}: {error}") from error
        time.sleep(0.1)


def needed(service):
    return set(service.get("depends_on") or {})


def replaced(text, places):
    """Whole paths only, and each place once: a path may be part of another one."""
    targets = "|".join(sorted(map(re.escape, places), key=len, reverse=True))
    return re.sub(rf"(?<![\w./-])(?:{targets})(?![\w.-])", lambda found: places[found.group()], text)


def image_environment():
    """ENV of the Dockerfile's last stage."""
    stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", stage, re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split())


def healthcheck_arguments():
    found = re.findall(r'CMD (\["/usr/local/bin/hobnob".*\])$', DOCKERFILE.read_text(), re.MULTILINE)
    return json.loads(found[0])[1:]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]).resolve())
