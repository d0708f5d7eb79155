// Two users: a private chat, a room, and what one of them missed while away.
//
//   npm ci && node chat.mjs http://127.0.0.1:8080                              (`make cluster` prints such addresses)
//   npm ci && node chat.mjs http://127.0.0.1:3001 http://127.0.0.1:3002        each user on a gateway of their own
//
// Goes on when a gateway is restarted or killed under it. Ends with 1 when anything is missing.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";

// How long anything may take, a gateway's restart included.
const DEADLINE_MS = 60_000;
const ANSWER_MS = 5_000;
const AGAIN_MS = 200;
/** Refusals that are not for good; see docs/errors.md. */
const PASSING = ["busy", "unavailable", "rate_limited"];

const [firstUrl, secondUrl = firstUrl] = process.argv.slice(2);
if (firstUrl === undefined) {
  console.error("usage: node chat.mjs URL [URL]");
  process.exit(2);
}

process.on("uncaughtException", (error) => {
  console.error(`failed: ${error.message}`);
  process.exit(1);
});

/** Posts until it is answered by a gateway that can: while one restarts, nobody is there, or a proxy that says so. */
async function post(url, path, body, token) {
  const headers = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const response = await fetch(new URL(path, url), { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
    if (response?.ok) return response.json();
    if (response !== null && response.status < 500 && response.status !== 429) {
      const { error } = await response.json();
      throw new Error(`${path}: ${error.code}: ${error.message}`);
    }
    if (Date.now() > deadline) throw new Error(`${path}: no answer`);
    await sleep(AGAIN_MS);
  }
}

/** A user with a token that is always fresh, and what this user's device knows of each conversation. */
class User {
  #account;
  #session = { until: 0 };
  /** The last place before which nothing is missing, by conversation: where a connection goes on. */
  since = {};
  /** What came before its turn: answers to sends, which say nothing about what lies before them. */
  #waiting = new Set();

  constructor(name) {
    this.#account = { username: `${name}-${randomUUID().slice(0, 8)}`, password: randomUUID() };
  }

  get name() {
    return this.#account.username;
  }

  get id() {
    return this.#session.userId;
  }

  /** A token that is good for a while yet: refreshed, or else had by registering or logging in. */
  async token(url) {
    if (Date.now() > this.#session.until) {
      this.#session = await post(url, "/refresh", { refreshToken: this.#session.refreshToken ?? "" })
        .catch(() => post(url, "/register", this.#account))
        .catch(() => post(url, "/login", this.#account));
      this.#session.until = Date.now() + this.#session.expiresIn * 500;
    }
    return this.#session.token;
  }

  /** Notes an event; false when it was here before, since delivery is at least once. */
  isNew({ conversationId: id, seq }, isDelivered) {
    if (isDelivered) this.since[id] ??= seq - 1;
    if (seq <= this.since[id] || this.#waiting.has(`${id} ${seq}`)) return false;
    this.#waiting.add(`${id} ${seq}`);
    while (this.#waiting.delete(`${id} ${this.since[id] + 1}`)) this.since[id] += 1;
    return true;
  }
}

/** One user's connection. */
class Session {
  constructor(user, url) {
    this.user = user;
    this.messages = [];
    const auth = (send) => user.token(url).then((token) => send({ token }), () => send({}));
    this.socket = io(url, { auth });
    // Each time: a new connection has joined nothing yet.
    this.socket.on("connect", () => this.socket.emit("join", user.id, { since: user.since }));
    this.socket.on("receive_message", (message) => this.receive(message));
    this.socket.on("receive_group_message", (message) => this.receive(message));
    this.socket.on("room_updated", (event) => this.learn(event));
    this.socket.on("connect_error", () => {
      // Refused: the client would not try again by itself.
      if (!this.socket.active) setTimeout(() => this.socket.connect(), AGAIN_MS);
    });
  }

  receive(message) {
    if (!this.user.isNew(message, true)) return;
    this.messages.push(message);
    console.log(`  ${this.user.name} got #${message.seq} (${message.type}): ${message.content}`);
  }

  /** Something about a room itself, which has a place in its log as well. */
  learn(event) {
    if (this.user.isNew(event, true)) console.log(`  ${this.user.name} got #${event.seq} (room ${event.change}): ${event.name ?? ""}`);
  }

  /** Sends until it is answered. The clientMessageId makes that safe: the message is stored once. */
  async send(event, content) {
    const message = { ...content, clientMessageId: randomUUID() };
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const answer = await this.socket.timeout(ANSWER_MS).emitWithAck(event, message).catch(() => null);
      if (answer?.ok) {
        if (message.receiverId !== undefined) this.user.isNew(answer.message, false);
        return;
      }
      if (answer !== null && !PASSING.includes(answer.error.code)) throw new Error(`${event}: ${answer.error.code}`);
      if (Date.now() > deadline) throw new Error(`${event}: no answer`);
      await sleep(AGAIN_MS);
    }
  }

  say(receiver, content) {
    return this.send("send_message", { receiverId: receiver.id, content });
  }

  sayInRoom(room, content) {
    return this.send("send_group_message", { roomId: room._id, content });
  }

  /** Waits until every one of these contents has arrived. */
  async expect(...contents) {
    const deadline = Date.now() + DEADLINE_MS;
    const missing = () => contents.filter((content) => !this.messages.some((message) => message.content === content));
    while (missing().length > 0) {
      if (Date.now() > deadline) throw new Error(`${this.user.name} never got: ${missing().join(", ")}`);
      await sleep(20);
    }
  }

  leave() {
    this.socket.disconnect();
  }
}

const [alice, bob] = [new User("alice"), new User("bob")];
await Promise.all([alice.token(firstUrl), bob.token(secondUrl)]);

console.log(`alice is on ${firstUrl}, bob on ${secondUrl}`);
const atAlices = new Session(alice, firstUrl);
const atBobs = new Session(bob, secondUrl);

console.log("in private:");
await atAlices.say(bob, "Hello, Bob!");
await atBobs.expect("Hello, Bob!");
await atBobs.say(alice, "Hello yourself.");
await atAlices.expect("Hello yourself.");

console.log("in a room:");
const room = await post(firstUrl, "/room", { name: "example", members: [bob.id] }, await alice.token(firstUrl));
await atBobs.sayInRoom(room, "Nice room.");
await Promise.all([atAlices.expect("Nice room."), atBobs.expect("Nice room.")]);

console.log("bob leaves; alice goes on:");
atBobs.leave();
await atAlices.say(bob, "Are you there?");
await atAlices.sayInRoom(room, "Bob has left.");
await atAlices.say(bob, "Read this when you are back.");

console.log(`bob comes back, on ${firstUrl}:`);
const back = new Session(bob, firstUrl);
await back.expect("Are you there?", "Bob has left.", "Read this when you are back.");

atAlices.leave();
back.leave();
console.log("nothing was lost");
