// The socket's protocol (/ws, plain JSON frames): hello, requests with answers, events, acknowledgements, reconnection.
// The one file of the page that knows frames. Knows neither the page nor how tokens are got.
//
// Delivery is at least once and in order; what is handed out here is each event once. A position is the last seq of a
// conversation that came without a gap before it: resuming asks for what comes after it, and it is what is
// acknowledged.

import { RequestError, isLoggedOut } from "./session.js";

const ACK_AFTER_MS = 500;
const ANSWER_WITHIN_MS = 15_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 20_000;
const RENEW_EVERY_MS = 30_000;
/** Close codes: what was sent was too large; the client has a fault, or its user too many sessions; the token was refused. */
const [TOO_LARGE, FAULTY, UNAUTHORIZED] = [1009, [1002, 1003, 1007, 4103], 4101];
/** Sends that may wait for an answer at once; more are refused. */
const MOST_PENDING = 100;
/** Errors after which the same request may succeed. */
const RETRYABLE = ["busy", "unavailable", "rate_limited", "network"];

/** Events of the log, by frame type; all others pass by and are not repeated. */
const LOGGED = new Set([
  "receive_message", "receive_group_message", "message_edited", "message_deleted", "reaction", "room_updated",
]);

export class Client {
  #token; #on;
  #socket = null;
  #stopped = false;
  #ready = false;
  #pause = FIRST_PAUSE_MS;
  #timer = null;
  #ackTimer = null;
  #renewal = null;
  #nextRef = 1;
  #waiting = new Map();
  #outbox = new Map();
  #positions = new Map();
  #ahead = new Map();
  #toAcknowledge = new Set();
  #attempt = 0;
  #tokenInUse = null;
  #tokenRefused = false;

  /**
   * @param token an async function that gives an access token; told true when the last one was refused
   * @param on { event(type, body), state("online" | "connecting" | "offline"), ready(), loggedOut() }
   */
  constructor(token, on) {
    this.#token = token;
    this.#on = on;
    window.addEventListener("online", () => { if (!this.#ready) { this.#reconnect(0); } });
  }

  start() {
    this.#connect();
    this.#renewal = setInterval(() => this.#renew(), RENEW_EVERY_MS);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#renewal);
    this.#socket?.close(1000);
  }

  /** What is known from elsewhere: everything up to here has been received. */
  learn(conversationId, seq) {
    if (seq > (this.#positions.get(conversationId) ?? -1)) {
      this.#positions.set(conversationId, seq);
      this.#drainAhead(conversationId);
    }
  }

  /** Sends a message to `{receiverId}` or `{roomId}`; kept and repeated under the same id until it is answered. */
  send(target, content, clientMessageId) {
    if (this.#outbox.size >= MOST_PENDING) {
      return Promise.reject(new RequestError("busy", "too many messages are waiting"));
    }
    const type = target.roomId ? "send_group_message" : "send_message";
    const frame = { type, ...target, content, clientMessageId };
    return new Promise((resolve, reject) => {
      this.#outbox.set(clientMessageId, { frame, resolve, reject });
      if (this.#ready) { this.#transmit(clientMessageId); }
    });
  }

  read(conversationId, seq) { this.request({ type: "message_read", conversationId, seq }).catch(() => {}); }
  typing(target, typing) { this.request({ type: "typing", ...target, typing }).catch(() => {}); }

  /** Watches users' presence; answers `{userId: {online}}`. */
  async watch(userIds) {
    return (await this.request({ type: "watch_presence", userIds })).presence ?? {};
  }

  /** Sends a request and waits for its answer. */
  request(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new RequestError("network", "not connected"));
    }
    const ref = this.#nextRef++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(ref);
        reject(new RequestError("network", "no answer"));
      }, ANSWER_WITHIN_MS);
      this.#waiting.set(ref, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ ...frame, ref }));
    });
  }

  async #connect() {
    const attempt = ++this.#attempt;
    this.#on.state("connecting");
    let token;
    try {
      token = await this.#token(this.#tokenRefused);
    } catch (error) {
      if (attempt !== this.#attempt || this.#stopped) { return; }
      if (isLoggedOut(error)) { this.stop(); this.#on.loggedOut(); } else { this.#lost(); }
      return;
    }
    if (attempt !== this.#attempt || this.#stopped) { return; }
    this.#tokenInUse = token;
    this.#tokenRefused = false;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    const isCurrent = () => socket === this.#socket;
    this.#socket = socket;
    socket.onopen = () => { if (isCurrent()) { this.#hello(socket); } };
    socket.onmessage = ({ data }) => { if (isCurrent()) { this.#receive(JSON.parse(data)); } };
    socket.onclose = ({ code }) => { if (isCurrent()) { this.#closed(code); } };
  }

  async #hello(socket) {
    this.#ahead.clear();
    const since = Object.fromEntries(this.#positions);
    try {
      await this.request({ type: "hello", token: this.#tokenInUse, since, ack: "client" });
    } catch (error) {
      this.#tokenRefused = isLoggedOut(error);
      socket.close(1000);
      return;
    }
    this.#ready = true;
    this.#pause = FIRST_PAUSE_MS;
    this.#on.state("online");
    this.#on.ready();
    for (const id of this.#outbox.keys()) { this.#transmit(id); }
  }

  /** Hands a fresh token over before the one in use ends, so that the connection need not. */
  async #renew() {
    if (!this.#ready) { return; }
    try {
      const token = await this.#token(false);
      if (token !== this.#tokenInUse) {
        await this.request({ type: "authenticate", token });
        this.#tokenInUse = token;
      }
    } catch {
      // The next turn tries again; at worst the server closes the connection, and a new one is made.
    }
  }

  #closed(code) {
    if (code === TOO_LARGE) {
      // Repeating what was too large would close every connection again.
      for (const { reject } of this.#outbox.values()) { reject(new RequestError("content_too_long", "too long")); }
      this.#outbox.clear();
    }
    if (code === UNAUTHORIZED) { this.#tokenRefused = true; }
    if (FAULTY.includes(code)) { this.#pause = LONGEST_PAUSE_MS; }
    this.#lost();
  }

  #receive(frame) {
    if (frame.ref !== undefined && this.#waiting.has(frame.ref)) {
      this.#answered(frame);
    } else if (frame.type === "reconnect") {
      // The gateway is draining; at the time it names, another one takes over.
      this.#reconnect(Math.random() * (frame.afterMs ?? 0));
    } else if (LOGGED.has(frame.type)) {
      this.#logged(frame.type, bodyOf(frame));
    } else {
      this.#on.event(frame.type, bodyOf(frame));
    }
  }

  #answered(frame) {
    const { resolve, reject, timer } = this.#waiting.get(frame.ref);
    this.#waiting.delete(frame.ref);
    clearTimeout(timer);
    if (frame.error) {
      reject(new RequestError(frame.error.code, frame.error.message));
    } else {
      resolve(frame);
    }
  }

  #logged(type, body) {
    const isNew = this.#note(body.conversationId, body.seq);
    this.#acknowledgeSoon(body.conversationId);
    if (isNew) { this.#on.event(type, body); }
  }

  /** Notes that an event was received; false when it was before. */
  #note(conversationId, seq) {
    const position = this.#positions.get(conversationId);
    const ahead = this.#ahead.get(conversationId) ?? new Set();
    if (position !== undefined && (seq <= position || ahead.has(seq))) { return false; }
    if (position === undefined || seq === position + 1) {
      this.#positions.set(conversationId, seq);
      this.#drainAhead(conversationId);
    } else {
      // What is missing is a message of our own whose answer is on its way.
      ahead.add(seq);
      this.#ahead.set(conversationId, ahead);
    }
    return true;
  }

  #drainAhead(conversationId) {
    const ahead = this.#ahead.get(conversationId);
    let position = this.#positions.get(conversationId);
    while (ahead?.delete(position + 1)) { position += 1; }
    this.#positions.set(conversationId, position);
  }

  /** The answer to a send stands for its event; alone it says nothing about the events before it. */
  #sent(message) {
    const { conversationId, seq } = message;
    if (this.#positions.has(conversationId) || seq === 1) {
      this.#note(conversationId, seq);
      this.#acknowledgeSoon(conversationId);
    }
  }

  #acknowledgeSoon(conversationId) {
    this.#toAcknowledge.add(conversationId);
    this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ACK_AFTER_MS);
  }

  #acknowledge() {
    this.#ackTimer = null;
    for (const conversationId of this.#toAcknowledge) {
      const seq = this.#positions.get(conversationId);
      // A lost acknowledgement repeats a little after the next reload, and loses nothing.
      this.request({ type: "message_ack", conversationId, seq }).catch(() => {});
    }
    this.#toAcknowledge.clear();
  }

  async #transmit(id) {
    const entry = this.#outbox.get(id);
    if (!entry) { return; }
    const { frame, resolve, reject } = entry;
    try {
      const { message } = await this.request(frame);
      this.#sent(message);
      this.#outbox.delete(id);
      resolve(message);
    } catch (error) {
      if (!RETRYABLE.includes(error.code)) {
        this.#outbox.delete(id);
        reject(error);
      } else if (this.#ready) {
        setTimeout(() => { if (this.#ready) { this.#transmit(id); } }, jittered(2 * FIRST_PAUSE_MS));
      }
    }
  }

  #lost() {
    this.#socket = null;
    this.#ready = false;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new RequestError("network", "the connection was lost"));
    }
    this.#waiting.clear();
    if (this.#stopped) { return; }
    this.#on.state("offline");
    this.#retryIn(jittered(this.#pause));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** Leaves this connection for a new one, after a while. */
  #reconnect(afterMs) {
    if (this.#stopped) { return; }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const old = this.#socket;
      if (old) {
        this.#lost();
        old.close(1000);
      }
      this.#retryIn(0);
    }, afterMs);
  }

  #retryIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), ms);
  }
}

/** An event's object: a message's stands in `message`, since it has a `type` of its own. */
function bodyOf(frame) {
  return frame.message ?? frame;
}

/** Spread, so that the clients of a lost gateway do not come back all at once. */
function jittered(ms) {
  return ms / 2 + Math.random() * ms;
}
