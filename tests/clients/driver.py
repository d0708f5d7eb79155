"""python-socketio, driven line by line as driver.mjs drives the official client; the commands and lines are described there.

    driver.py SOCKET sync|async
"""

import asyncio
import json
import queue
import socket
import sys
import threading

import socketio

# Tests restart gateways; the library's own pauses are one to five seconds.
OPTIONS = {"reconnection_delay": 0.1, "reconnection_delay_max": 0.5}


class Channel:
    """The lines to and from the test."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lock = threading.Lock()

    def say(self, **line):
        with self.lock:
            self.socket.sendall((json.dumps(line) + "\n").encode())


def settings(command):
    """What `connect` of the library takes of the official client's options."""
    options = command.get("options", {})
    return {
        "url": command["url"],
        "auth": options.get("auth"),
        "transports": options.get("transports"),
        "wait": False,
    }


def one(args):
    """The library takes a tuple for several arguments."""
    return tuple(args) if len(args) != 1 else args[0]


def report(channel, client, name):
    """Has a client's life told, but for what must be told from within a coroutine."""
    return {
        "connect": lambda: channel.say(id=name, type="connect", socketId=client.get_sid()),
        "connect_error": lambda data=None: channel.say(
            id=name,
            type="connect_error",
            message=str(data),
            data=data.get("data") if isinstance(data, dict) else None,
        ),
        "disconnect": lambda reason=None: channel.say(id=name, type="disconnect", reason=str(reason)),
        "*": lambda event, *args: channel.say(id=name, type="event", event=event, args=list(args)),
    }


def acknowledged(channel, command):
    if "ref" not in command:
        return None
    return lambda *args: channel.say(id=command["id"], type="ack", ref=command["ref"], args=list(args))


class Sync:
    """Each client's commands in a thread of their own: a call that waits holds up nobody else."""

    def __init__(self, channel):
        self.channel = channel
        self.queues = {}

    def run(self):
        for line in self.channel.lines:
            command = json.loads(line)
            if command["id"] not in self.queues:
                self.queues[command["id"]] = queue.SimpleQueue()
                threading.Thread(target=self.serve, args=(command["id"],), daemon=True).start()
            self.queues[command["id"]].put(command)

    def serve(self, name):
        client = socketio.Client(**OPTIONS)
        for event, handler in report(self.channel, client, name).items():
            client.on(event, handler)
        while True:
            command = self.queues[name].get()
            try:
                self.do(client, command)
            except Exception as error:  # noqa: BLE001 whatever it is, the test is told
                self.channel.say(id=name, type="bad_command", message=f"{error!r}: {command}")

    def do(self, client, command):
        match command["do"]:
            case "connect":
                client.connect(**settings(command))
            case "emit":
                client.emit(command["event"], one(command.get("args", [])), callback=acknowledged(self.channel, command))
            case "disconnect":
                client.disconnect()


class Async:
    def __init__(self, channel):
        self.channel = channel
        self.clients = {}

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, self.channel.lines.readline):
            command = json.loads(line)
            try:
                await self.do(command)
            except Exception as error:  # noqa: BLE001 whatever it is, the test is told
                self.channel.say(id=command["id"], type="bad_command", message=f"{error!r}: {command}")

    async def do(self, command):
        name = command["id"]
        if name not in self.clients:
            self.clients[name] = client = socketio.AsyncClient(**OPTIONS)
            for event, handler in report(self.channel, client, name).items():
                client.on(event, handler)
        client = self.clients[name]
        match command["do"]:
            case "connect":
                await client.connect(**settings(command))
            case "emit":
                await client.emit(
                    command["event"], one(command.get("args", [])), callback=acknowledged(self.channel, command)
                )
            case "disconnect":
                await client.disconnect()


if __name__ == "__main__":
    {"sync": Sync, "async": Async}[sys.argv[2]](Channel(sys.argv[1])).run()
