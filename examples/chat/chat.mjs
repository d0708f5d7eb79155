// Two users on two gateways: a private chat, a room, and what one of them missed while away.
//
//   npm ci && node chat.mjs http://127.0.0.1:3001 http://127.0.0.1:3002        (`make cluster` prints such addresses)
//
// One address is enough to try it: both users are then on the same gateway. Ends with 1 when anything is missing.

import { randomUUID } from "node:crypto";
import { io } from "socket.io-client";

const DEADLINE_MS = 10_000;
const [firstUrl, secondUrl = firstUrl] = process.argv.slice(2);
if (firstUrl === undefined) {
  console.error("usage: node chat.mjs URL [URL]");
  process.exit(2);
}

process.on("uncaughtException", (error) => {
  console.error(`failed: ${error.message}`);
  process.exit(1);
});

/** Registers a new user and returns {userId, username, token, …} and what this user has seen. */
async function register(url, name) {
  const username = `${name}-${randomUUID().slice(0, 8)}`;
  const user = await post(url, "/register", { username, password: randomUUID() });
  return { ...user, seen: new Set() };
}

async function post(url, path, body, token) {
  const headers = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const response = await fetch(new URL(path, url), { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${answer.error.code}: ${answer.error.message}`);
  return answer;
}

/** One user's connection. Delivery is at least once, so what (conversationId, seq) repeats is dropped. */
class Session {
  constructor(user, url) {
    this.user = user;
    this.messages = [];
    this.socket = io(url, { auth: { token: user.token } });
    this.socket.on("receive_message", (message) => this.receive(message));
    this.socket.on("receive_group_message", (message) => this.receive(message));
    this.socket.on("connect_error", (error) => {
      throw new Error(`${user.username}: ${error.message} ${error.data?.code ?? ""}`);
    });
  }

  receive(message) {
    const key = `${message.conversationId} ${message.seq}`;
    if (this.user.seen.has(key)) return;
    this.user.seen.add(key);
    this.messages.push(message);
    console.log(`  ${this.user.username} got #${message.seq} (${message.type}): ${message.content}`);
  }

  /** Emits and waits for the server's answer, which is {ok: true, …} or {error: {code, message}}. */
  async request(event, ...payload) {
    const answer = await this.socket.timeout(DEADLINE_MS).emitWithAck(event, ...payload);
    if (answer.error !== undefined) throw new Error(`${event}: ${answer.error.code}: ${answer.error.message}`);
    return answer;
  }

  /** Starts delivery: first what was missed, then what comes. */
  join() {
    return this.request("join", this.user.userId);
  }

  /** The clientMessageId makes a retry safe: the message is stored once, however often it is sent. */
  say(receiver, content) {
    return this.request("send_message", { receiverId: receiver.userId, content, clientMessageId: randomUUID() });
  }

  sayInRoom(room, content) {
    return this.request("send_group_message", { roomId: room._id, content, clientMessageId: randomUUID() });
  }

  /** Waits until every one of these contents has arrived. */
  async expect(...contents) {
    const deadline = Date.now() + DEADLINE_MS;
    const missing = () => contents.filter((content) => !this.messages.some((message) => message.content === content));
    while (missing().length > 0) {
      if (Date.now() > deadline) throw new Error(`${this.user.username} never got: ${missing().join(", ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  leave() {
    this.socket.disconnect();
  }
}

const alice = await register(firstUrl, "alice");
const bob = await register(secondUrl, "bob");

console.log(`alice is on ${firstUrl}, bob on ${secondUrl}`);
const atAlices = new Session(alice, firstUrl);
const atBobs = new Session(bob, secondUrl);
await Promise.all([atAlices.join(), atBobs.join()]);

console.log("in private:");
await atAlices.say(bob, "Hello, Bob!");
await atBobs.expect("Hello, Bob!");
await atBobs.say(alice, "Hello yourself.");
await atAlices.expect("Hello yourself.");

console.log("in a room:");
const room = await post(firstUrl, "/room", { name: "example", members: [bob.userId] }, alice.token);
await atBobs.sayInRoom(room, "Nice room.");
await Promise.all([atAlices.expect("Nice room."), atBobs.expect("Nice room.")]);

console.log("bob leaves; alice goes on:");
atBobs.leave();
await atAlices.say(bob, "Are you there?");
await atAlices.sayInRoom(room, "Bob has left.");
await atAlices.say(bob, "Read this when you are back.");

console.log(`bob comes back, on ${firstUrl}:`);
const back = new Session(bob, firstUrl);
await back.join();
await back.expect("Are you there?", "Bob has left.", "Read this when you are back.");

atAlices.leave();
back.leave();
console.log("nothing was lost");
