#!/usr/bin/env python3
"""Backup and restore for real: mongosh runs the scripts of k8s/ against a real replica set, under load.

    restore.py BINARIES    the folder with this tree's hobnob and hobnob-load

While messages are being sent, a backup is taken; it is restored into a new database, migrated, and a gateway on it must
show a room's history as it was, number the next message by it, and log its users in. Every log in it must be dense. A
file that was cut off and a database that holds something must be refused. The scripts that make a replica set are run
as well, as compose.yaml and the component dev-data run them.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "deploy/local/cluster.sh"
MONGOSH = ROOT / "deploy/check/mongosh/node_modules/.bin/mongosh"
BACKUP = ROOT / "k8s/components/mongodb-backup/backup.js"
RESTORE = ROOT / "k8s/restore/restore.js"
PASSWORD = "a long enough password"
DEADLINE_SECONDS = 60
GAPS = """
const found = db.events.aggregate([
  { $group: { _id: "$conversation", count: { $sum: 1 }, newest: { $max: "$seq" } } },
]).toArray();
const holes = found.filter(({ count, newest }) => Number(count) !== Number(newest));
if (found.length < 5 || holes.length > 0) throw new Error(`of ${found.length} logs, not dense: ${EJSON.stringify(holes)}`);
print(found.length);
"""


def main(binaries, scratch):
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.tools/bin'}:{os.environ['PATH']}",
        "CLUSTER_DIR": str(scratch / "cluster"),
        "CLUSTER_BIN": str(binaries / "hobnob"),
        "EDGE": "no",
        "GATEWAYS": "1",
        "HOBNOB_JWT_SECRET": "not a secret but 32 bytes long at least",
        # mongosh reads settings there; by itself it would report its use over the network.
        "HOME": str(scratch),
    }
    settings = scratch / ".mongodb/mongosh/config"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"enableTelemetry": false}')
    initiated(environment, scratch)
    subprocess.run([CLUSTER, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        restored(binaries, scratch, environment)
    finally:
        subprocess.run([CLUSTER, "down"], env=environment, check=True)


def restored(binaries, scratch, environment):
    addresses = dict(re.findall(r'^(?:export )?(\w+)="(.*)"$', (scratch / "cluster/env").read_text(), re.MULTILINE))
    gateway, uri = addresses["CLUSTER_URLS"], addresses["HOBNOB_MONGODB_URI"]
    room, before = conversation(gateway)
    file = scratch / "backup.jsonl.gz"
    backup = f"MONGODB_URI='{uri}' BACKUP_FILE={file} {MONGOSH} --nodb --quiet --file {BACKUP}"
    load = [binaries / "hobnob-load", "check", "--gateways", gateway, "--seconds", "8", "--at", f"2={backup}"]
    subprocess.run(load, env=environment, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([CLUSTER, "kill", "gateway1"], env=environment, check=True)

    target = uri.replace("/hobnob?", "/restored?")
    mongosh(environment, target, file)
    must_refuse(environment, target, file, "is not empty")
    cut = scratch / "cut.jsonl.gz"
    cut.write_bytes(file.read_bytes()[:-200])
    must_refuse(environment, uri.replace("/hobnob?", "/cut?"), cut, "unexpected end of file")

    settings = {
        **environment,
        "HOBNOB_REDIS_URL": addresses["HOBNOB_REDIS_URL"],
        "HOBNOB_MONGODB_URI": target,
        "HOBNOB_LISTEN": f"127.0.0.1:{free_port()}",
        "HOBNOB_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
    }
    subprocess.run([binaries / "hobnob", "migrate"], env=settings, check=True, stdout=subprocess.DEVNULL)
    logs = shell(environment, [target, "--quiet", "--eval", GAPS]).split()[-1]
    with running([binaries / "hobnob"], settings, scratch):
        again(f"http://{settings['HOBNOB_LISTEN']}", f"http://{settings['HOBNOB_ADMIN_LISTEN']}", room, before)
    print(f"restore: {logs} conversations backed up under load and restored, each log dense; history, log-in, next seq kept")


def conversation(gateway):
    """A room with a few messages, and its history as the gateway shows it."""
    owner = ask(gateway, "POST", "/register", {"username": "owner", "password": PASSWORD})
    room = ask(gateway, "POST", "/room", {"name": "kept", "members": [owner["userId"]]}, owner["token"])["_id"]
    for number in range(1, 6):
        ask(gateway, "POST", "/group", {"roomId": room, "content": f"message {number}"}, owner["token"])
    return room, ask(gateway, "GET", f"/room/{room}", None, owner["token"])


def again(gateway, admin, room, before):
    """The same room in the restored database."""
    until(lambda: ask(admin, "GET", "/readyz"), "the gateway on the restored database")
    owner = ask(gateway, "POST", "/login", {"username": "owner", "password": PASSWORD})
    after = ask(gateway, "GET", f"/room/{room}", None, owner["token"])
    if after != before or len(after) != 5:
        sys.exit(f"restore: the history is not what it was:\n{before}\n{after}")
    sent = ask(gateway, "POST", "/group", {"roomId": room, "content": "the next"}, owner["token"])
    # The room's making, and five messages.
    if sent["seq"] != 7:
        sys.exit(f"restore: the next message has seq {sent['seq']}")


def ask(address, method, path, body=None, token=None):
    request = urllib.request.Request(address + path, method=method)
    request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout=10) as answer:
        return json.load(answer)


def mongosh(environment, uri, file):
    variables = {**environment, "MONGODB_URI": uri, "BACKUP_FILE": str(file)}
    return shell(variables, ["--nodb", "--quiet", "--file", RESTORE])


def shell(environment, arguments):
    done = subprocess.run([MONGOSH, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"mongosh: {done.stdout}{done.stderr}")
    return done.stdout


def must_refuse(environment, uri, file, why):
    try:
        mongosh(environment, uri, file)
    except RuntimeError as error:
        if why not in str(error):
            raise
    else:
        sys.exit(f"restore: was not refused, though it {why}")


def initiated(environment, scratch):
    """Both scripts that make a replica set, on a fresh mongod each, twice: the second time nothing is to be done."""
    for script in ("deploy/mongodb/replica-set.js", "k8s/components/dev-data/replica-set.js"):
        port, data = free_port(), scratch / script.split("/", maxsplit=1)[0]
        data.mkdir()
        command = ["mongod", "--replSet", "rs0", "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
        with running([*command, "--dbpath", data, "--quiet"], environment, scratch):
            until(lambda port=port: socket.create_connection(("127.0.0.1", port), 1).close() or True, "mongod")
            here = scratch / "replica-set.js"
            text = (ROOT / script).read_text()
            here.write_text(re.sub(r'host: "[^"]+"', f'host: "127.0.0.1:{port}"', text))
            arguments = ["--quiet", "--norc", f"mongodb://127.0.0.1:{port}/?directConnection=true", "--file", here]
            for _ in range(2):
                # As a health check, the one of compose.yaml may fail until there is a primary.
                until(lambda arguments=arguments: shell(environment, arguments) is not None, script)


@contextlib.contextmanager
def running(command, environment, scratch):
    with (scratch / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            server.kill()
            server.wait()


def until(attempt, what):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            if attempt():
                return
        except (OSError, RuntimeError, urllib.error.URLError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"restore: no {what} within {DEADLINE_SECONDS} s: {error}")
        time.sleep(0.2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
