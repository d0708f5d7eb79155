// The official Socket.IO client through the proxy, beginning with long-polling as it does by default: that a session
// stays on its gateway by the cookie, also when it goes on as a WebSocket.
//
//   node polling.mjs URL
//
// Clients with a cookie jar must not lose their connection once, and must all be answered. The control: without cookies
// some of them must fail, or else the proxy was not needed for it.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../tests/clients/package.json", import.meta.url));
const { io } = require("socket.io-client");

const url = process.argv[2];
const CLIENTS = 9;
const MESSAGES = 15;
// Beyond any delay that is not a fault: a lost session shows itself at its next poll.
const PATIENCE_MS = 20_000;

async function register(name) {
  const answer = await fetch(`${url}/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: name, password: "a long enough password" }),
  });
  if (answer.status !== 201) throw new Error(`registering ${name}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

function connected(socket) {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
}

// One client's whole life; rejects at the first sign of a lost session.
async function live(user, options) {
  const socket = io(url, { auth: { token: user.token }, reconnection: false, forceNew: true, ...options });
  const lost = new Promise((_, reject) => {
    socket.on("disconnect", (reason) => reject(new Error(`disconnected: ${reason}`)));
  });
  lost.catch(() => {});
  const talk = async () => {
    await connected(socket);
    for (let number = 1; number <= MESSAGES; number += 1) {
      const send = { receiverId: user.partner, content: `message ${number}`, clientMessageId: `m-${number}` };
      const answer = await socket.timeout(PATIENCE_MS).emitWithAck("send_message", send);
      if (!answer.ok || answer.message.seq < number) throw new Error(JSON.stringify(answer));
    }
    return socket.io.engine.transport.name;
  };
  try {
    return await Promise.race([talk(), lost]);
  } finally {
    socket.off("disconnect");
    socket.disconnect();
  }
}

async function group(name, options) {
  const run = Math.random().toString(36).slice(2, 8);
  const users = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => register(`${name}-${run}-${i}`)));
  users.forEach((user, i) => (user.partner = users[(i + 1) % CLIENTS].userId));
  return Promise.allSettled(users.map((user) => live(user, options)));
}

const failures = (results) => results.filter(({ status }) => status === "rejected").map(({ reason }) => reason.message);
const faults = [];
const polls = await group("polls", { transports: ["polling"], withCredentials: true });
faults.push(...failures(polls).map((why) => `polling with a cookie: ${why}`));
const upgrades = await group("upgrades", { withCredentials: true });
faults.push(...failures(upgrades).map((why) => `polling, then WebSocket, with a cookie: ${why}`));
if (!upgrades.some(({ value }) => value === "websocket")) faults.push("nobody was upgraded to a WebSocket");
const bare = await group("bare", { transports: ["polling"] });
if (failures(bare).length === 0) faults.push("control: without a cookie no session was lost");
for (const fault of faults) console.error(fault);
console.log(`polling: ${2 * CLIENTS} clients, ${2 * CLIENTS * MESSAGES} messages; ${failures(bare).length} of ${CLIENTS} without cookies failed`);
process.exit(faults.length === 0 ? 0 : 1);
