"""Runs a check in a network, a process table and a set of mounts of its own: ports and names are free for it to take, and
whatever it started ends with it, however it ends. Needs root."""

import os
import pathlib
import subprocess
import sys

# Set in the process that has them.
INSIDE = "CHECK_ISOLATED"


def enter():
    """Goes on in a process that has all of that; the one that called it ends with its status."""
    if INSIDE not in os.environ:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
        environment = {**os.environ, INSIDE: "yes"}
        sys.exit(subprocess.run([*command, *sys.argv], check=False, env=environment).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def name_hosts(addresses, folder):
    """Makes these names known here, and no others; returns how to forget them."""
    hosts = pathlib.Path(folder, "hosts")
    lines = [f"{address} {name}\n" for name, address in addresses.items()]
    hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    return lambda: subprocess.run(["umount", "/etc/hosts"], check=True)
