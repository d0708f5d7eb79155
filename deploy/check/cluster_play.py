#!/usr/bin/env python3
"""Plays with deploy/local/cluster.sh in the foreground, as `make cluster` runs it: kills, starts and rolls while it stays, and
stops it in the middle of a roll. Nothing may end that was not asked to, and nothing may be left behind.

    cluster_play.py BINARIES    the folder with this tree's hobnob
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import isolated

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "deploy/local/cluster.sh"
PROCESSES = ["gateway1", "gateway2", "gateway3", "haproxy", "mongo1", "prometheus", "redis"]
DEADLINE_SECONDS = 120


def main(binaries, scratch):
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.tools/bin'}:{os.environ['PATH']}:/usr/sbin",
        "CLUSTER_DIR": str(scratch / "cluster"),
        "CLUSTER_BIN": str(binaries / "hobnob"),
        "HOBNOB_DRAIN_GRACE": "1s",
    }
    played = subprocess.Popen([CLUSTER], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    until_said(played, "# Ctrl-C stops it")

    def cluster(*arguments):
        subprocess.run([CLUSTER, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)

    before = running(environment)
    assert sorted(before) == PROCESSES, before
    for name in ["gateway2", "redis"]:
        cluster("kill", name)
        until_said(played, f"# {name} has ended")
        left = running(environment)
        assert left == {other: pid for other, pid in before.items() if other != name}, (name, left)
        cluster("start", name)
        until_said(played, f"# {name} is back")
        before = running(environment)
        assert sorted(before) == PROCESSES, before
    for _ in range(3):
        cluster("roll")
    rolled = running(environment)
    assert sorted(rolled) == PROCESSES, rolled
    for name, pid in rolled.items():
        assert (pid == before[name]) != name.startswith("gateway"), f"{name} was {before[name]} and is {pid}"
    stopped_while_rolling(played, environment)
    print("cluster: two kills, two starts, three rolls; stopped in the middle of a fourth, nothing left")


def stopped_while_rolling(played, environment):
    first = running(environment)["gateway1"]
    rolling = subprocess.Popen([CLUSTER, "roll"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: running(environment).get("gateway1") != first, "the roll begins")
    played.send_signal(signal.SIGINT)
    played.stdout.read()
    assert played.wait(DEADLINE_SECONDS) == 0, played.returncode
    assert rolling.wait(DEADLINE_SECONDS) != 0, "the roll went on without a cluster"
    # A script that has ended may leave its last `sleep` half a second more.
    until(lambda: not processes(environment), "nothing is left behind")


def until_said(played, line):
    # What is said by nobody ends with the process: a hang is ended by the reader's alarm.
    signal.alarm(DEADLINE_SECONDS)
    for said in played.stdout:
        if said.startswith(line):
            signal.alarm(0)
            return
    sys.exit(f"cluster: it ended with status {played.wait()} before it said: {line}")


def until(condition, what):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"cluster: waited in vain: {what}")
        time.sleep(0.05)


def running(environment):
    """Process ids by name, as `status` has them."""
    listed = subprocess.run([CLUSTER, "status"], env=environment, capture_output=True, text=True, check=False).stdout
    words = [line.split() for line in listed.splitlines()]
    return {line[0]: int(line[-1]) for line in words if line[1] == "running," and line[-1].isdigit()}


def processes(environment):
    """Every process that was started for this cluster, by its environment."""
    mark = f"CLUSTER_DIR={environment['CLUSTER_DIR']}\0".encode()
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append((folder.name, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
        except OSError:
            continue
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    isolated.enter()
    with tempfile.TemporaryDirectory() as folder:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
