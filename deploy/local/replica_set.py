#!/usr/bin/env python3
"""Turns freshly started mongod processes into a replica set, and waits until it has a primary.

    replica_set.py PORT [PORT...]

Speaks just enough of MongoDB's wire protocol (OP_MSG, https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/)
for three commands, because a machine that can run mongod need not have a shell or a driver for it.
"""

import socket
import struct
import sys
import time

DEADLINE_SECONDS = 60
OP_MSG = 2013


def encode(document):
    """BSON of a dict of int, str, bool, dict and list: all that the commands below need."""
    body = b"".join(element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def element(name, value):
    key = name.encode() + b"\0"
    if isinstance(value, bool):
        return b"\x08" + key + bytes([value])
    if isinstance(value, int):
        return b"\x10" + key + struct.pack("<i", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return b"\x02" + key + struct.pack("<i", len(text)) + text
    if isinstance(value, list):
        return b"\x04" + key + encode({str(index): item for index, item in enumerate(value)})
    return b"\x03" + key + encode(value)


def command(port, document):
    """Runs one command and returns the answer's BSON, undecoded."""
    body = struct.pack("<I", 0) + b"\0" + encode({**document, "$db": "admin"})
    header = struct.pack("<iiii", len(body) + 16, 1, 0, OP_MSG)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(header + body)
        with connection.makefile("rb") as stream:
            (length,) = struct.unpack("<i", stream.read(4))
            return stream.read(length - 4)


def answers(port):
    try:
        return bool(command(port, {"ping": 1}))
    except OSError:
        return False


def is_primary(port):
    # In BSON: the element type of a boolean, the name, the value true.
    return b"\x08isWritablePrimary\0\x01" in command(port, {"hello": 1})


def wait(what, condition):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"replica_set.py: {what} within {DEADLINE_SECONDS} s")
        time.sleep(0.05)


def main(ports):
    for port in ports:
        wait(f"mongod on port {port} did not answer", lambda: answers(port))
    members = [{"_id": index, "host": f"127.0.0.1:{port}"} for index, port in enumerate(ports)]
    settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
    answer = command(ports[0], {"replSetInitiate": {"_id": "rs0", "members": members, "settings": settings}})
    if b"errmsg\0" in answer:
        sys.exit(f"replica_set.py: {answer!r}")
    wait("no primary was elected", lambda: any(is_primary(port) for port in ports))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main([int(port) for port in sys.argv[1:]])
