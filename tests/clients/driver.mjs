// The official Socket.IO client, driven line by line: one JSON command in, one JSON line out per thing that happens.
// Knows the client's API; refuses to know hobnob's events, which are the tests' business.
//
//   node driver.mjs [SOCKET [PACKAGE]]   lines over a Unix socket when one is named, else over standard input and output;
//                                        PACKAGE is another version's alias in package.json
//
// Commands (`id` names one client of this process, `ref` comes back on the answer):
//   {"do":"connect","id":"a","url":"http://127.0.0.1:3000","options":{"auth":{"token":"…"},"transports":["websocket"]}}
//     with "emits":[{"event":"join","args":[],"ref":1}] these are emitted in the same tick, before anything is connected
//   {"do":"emit","id":"a","event":"join","args":[],"ref":1,"timeoutMs":5000}   with `ref`, waits for the acknowledgement
//   {"do":"reconnect","id":"a","auth":{…}}     connects a disconnected client again, with another `auth` when given
//   {"do":"disconnect","id":"a"}               the polite end; the client does not come back by itself
//   {"do":"cut","id":"a"}                      closes the transport under it, as a network does; the client does come back
// Lines out, each with `id`:
//   open {transport} · connect {socketId} · connect_error {message, data} · disconnect {reason} · upgrade {transport}
//   reconnect_attempt {attempt} · event {event, args} · ack {ref, args} · ack_timeout {ref} · bad_command {message}

import { connect as connectSocket } from "node:net";
import { createInterface } from "node:readline";

// The versions before 3 have no named export.
const library = await import(process.argv[3] ?? "socket.io-client");
const io = library.io ?? library.default;

const clients = new Map();
const channel = process.argv[2] === undefined ? null : connectSocket(process.argv[2]);
const output = channel ?? process.stdout;
const lines = createInterface({ input: channel ?? process.stdin, crlfDelay: Infinity });

function say(line) {
  output.write(`${JSON.stringify(line)}\n`);
}

function client(id) {
  const socket = clients.get(id);
  if (socket === undefined) throw new Error(`no client ${id}`);
  return socket;
}

function report(id, socket) {
  socket.on("connect", () => {
    say({ id, type: "connect", socketId: socket.id });
  });
  // Here and not on `connect`: the upgrade may be over before the namespace has answered.
  socket.io.on("open", () => {
    const engine = socket.io.engine;
    say({ id, type: "open", transport: engine.transport.name });
    engine.once("upgrade", (transport) => say({ id, type: "upgrade", transport: transport.name }));
  });
  socket.on("connect_error", (error) => {
    say({ id, type: "connect_error", message: error.message, data: error.data ?? null });
  });
  socket.on("disconnect", (reason) => say({ id, type: "disconnect", reason }));
  socket.io.on("reconnect_attempt", (attempt) => say({ id, type: "reconnect_attempt", attempt }));
  // Before 3 there is none; those are refused anyway.
  socket.onAny?.((event, ...args) => {
    // A trailing function is the server asking for an acknowledgement: it gets an empty one.
    if (typeof args.at(-1) === "function") args.pop()();
    say({ id, type: "event", event, args });
  });
}

const commands = {
  connect({ id, url, options, emits = [] }) {
    // Without forceNew, clients of one URL would share a connection, and no test could break just one.
    const socket = io(url, { forceNew: true, ...options });
    clients.get(id)?.disconnect();
    clients.set(id, socket);
    report(id, socket);
    for (const each of emits) commands.emit({ id, ...each });
  },
  emit({ id, event, args = [], ref, timeoutMs = 60_000 }) {
    if (ref === undefined) {
      client(id).emit(event, ...args);
      return;
    }
    const answered = (timeout, ...answer) => {
      say(timeout ? { id, type: "ack_timeout", ref } : { id, type: "ack", ref, args: answer });
    };
    const socket = client(id);
    // `timeout` is of 4.4.
    if (socket.timeout === undefined) socket.emit(event, ...args, (...answer) => answered(false, ...answer));
    else socket.timeout(timeoutMs).emit(event, ...args, answered);
  },
  reconnect({ id, auth }) {
    const socket = client(id);
    if (auth !== undefined) socket.auth = auth;
    socket.connect();
  },
  disconnect({ id }) {
    client(id).disconnect();
  },
  cut({ id }) {
    client(id).io.engine.close();
  },
};

lines.on("line", (line) => {
  let command = {};
  try {
    command = JSON.parse(line);
    commands[command.do](command);
  } catch (error) {
    say({ id: command.id ?? "", type: "bad_command", message: `${error.message}: ${line}` });
  }
});
// The owner has gone: nobody listens any more.
lines.on("close", () => process.exit(0));
