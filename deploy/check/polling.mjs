// The official Socket.IO client through the proxy, in every mode and without a cookie jar, as it is in Node: that a session
// stays on its gateway by its id, also when it goes on as a WebSocket. tests/official/proxies.rs has the control.
//
//   node polling.mjs URL
import { createRequire } from "node:module";

const require = createRequire(new URL("../../tests/clients/package.json", import.meta.url));
const { io } = require("socket.io-client");

const url = process.argv[2];
const CLIENTS = 20;
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
const modes = {
  polling: { transports: ["polling"] },
  "polling, then WebSocket": {},
  WebSocket: { transports: ["websocket"] },
};
for (const [name, options] of Object.entries(modes)) {
  const results = await group(name.replaceAll(/[, ]+/g, "-"), options);
  faults.push(...failures(results).map((why) => `${name}: ${why}`));
  if (name.includes("then") && !results.some(({ value }) => value === "websocket")) faults.push("nobody was upgraded");
}
for (const fault of faults) console.error(fault);
const count = Object.keys(modes).length * CLIENTS;
console.log(`polling: ${count} clients without cookies, ${count * MESSAGES} messages`);
process.exit(faults.length === 0 ? 0 : 1);
