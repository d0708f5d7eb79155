// The page: wires the account, the socket and the model to the elements of index.html. Knows them all, and decides
// nothing they could decide.

import { Client } from "./client.js";
import { Model } from "./model.js";
import { roomDialog } from "./room.js";
import { Session, isLoggedOut } from "./session.js";
import { conversationItem, element, messageItem, noteItem, personItem, replace } from "./view.js";

const HISTORY_PAGE = 50;
const LIST_PAGE = 200;
const SEARCH_AFTER_MS = 200;
const TYPING_EVERY_MS = 2000;
const LINK = { online: "", connecting: "connecting…", offline: "offline, trying again…" };

const $ = (id) => document.getElementById(id);
const session = new Session();
let client = null;
let model = null;
let current = null;
let lookups = new Map();
let watched = new Set();
let drawing = null;
let typedAt = 0;

// ---- account ----

async function enter(how) {
  $("account-error").textContent = "";
  try {
    await session[how]($("username").value, $("password").value);
    $("password").value = "";
    await begin();
  } catch (error) {
    $("account-error").textContent = error.message;
  }
}

async function begin() {
  model = new Model(session.userId);
  lookups = new Map();
  watched = new Set();
  current = null;
  $("me").textContent = session.username;
  client = new Client((isRefused) => session.token(isRefused), {
    event: onEvent,
    state: showLink,
    ready: onReady,
    loggedOut: () => leave("Your session has ended: log in again."),
  });
  await loadList(true);
  $("welcome").hidden = true;
  $("chat").hidden = false;
  client.start();
  draw();
}

function leave(message = "") {
  client?.stop();
  session.forget();
  $("chat").hidden = true;
  $("welcome").hidden = false;
  $("account-error").textContent = message;
  replace($("messages"), []);
  replace($("conversations"), []);
}

// ---- what the server says ----

function showLink(state) {
  $("link").textContent = LINK[state];
  $("link").classList.toggle("away", state === "offline");
  $("link").dataset.state = state;
}

/** The first list also says from where events are wanted; later ones come after the events they count. */
async function loadList(isFirst) {
  const rows = await session.get(`/conversations?limit=${LIST_PAGE}`);
  for (const row of rows) {
    model.listed(row);
    // Later on, deliveredSeq may be another device's: only a new or renewed membership says something then.
    client.learn(row.conversationId, Math.max(isFirst ? row.deliveredSeq : 0, row.joinedSeq - 1));
  }
  watchPeople();
  markRead();
  draw();
}

function onReady() {
  // Presence and what is watched end with a connection.
  watched = new Set();
  watchPeople();
  markRead();
}

function onEvent(type, body) {
  if (type === "presence") {
    model.online.set(body.userId, body.online);
  } else if (type === "typing") {
    model.typing(body);
    setTimeout(draw, 4100);
  } else if (type === "message_delivered" || type === "message_read") {
    model.receipt(body, type === "message_read");
  } else if (body.conversationId) {
    onLogged(type, body);
  }
  draw();
}

function onLogged(type, body) {
  const isNew = !model.conversations.has(body.conversationId);
  const conversation = model.apply(type, body, isWatching(body.conversationId));
  if (isNew || type === "room_updated") { loadList(false).catch(report); }
  if (conversation && conversation === current) { markRead(); }
}

async function watchPeople() {
  const people = [...model.conversations.values()].map((conversation) => conversation.userId);
  const added = people.filter((userId) => userId && !watched.has(userId));
  if (!added.length) { return; }
  added.forEach((userId) => watched.add(userId));
  try {
    const presence = await client.watch(added);
    for (const [userId, { online }] of Object.entries(presence)) { model.online.set(userId, online); }
    draw();
  } catch {
    // Asked again at the next connection.
    added.forEach((userId) => watched.delete(userId));
  }
}

function report(error) {
  if (isLoggedOut(error)) { leave("Your session has ended: log in again."); } else { $("link").textContent = error.message; }
}

// ---- conversations ----

function isWatching(id) { return current?.id === id && document.visibilityState === "visible"; }

async function open(conversation) {
  current = conversation;
  $("chat").classList.add("open");
  draw();
  $("content").focus();
  if (!conversation.isLoaded) { await loadHistory(conversation).catch(report); }
  markRead();
  draw();
}

async function loadHistory(conversation) {
  const oldest = Math.min(...conversation.messages.keys());
  const before = conversation.isLoaded && Number.isFinite(oldest) ? `&before=${oldest}` : "";
  const path = conversation.roomId ? `/room/${conversation.roomId}` : `/message/${model.me}/${conversation.userId}`;
  const page = await session.get(`${path}?limit=${HISTORY_PAGE}${before}`);
  model.history(conversation, page, HISTORY_PAGE);
  if (conversation.roomId && !conversation.creatorId) { await loadCreator(conversation); }
}

/** History has messages only: the event that made a room came once. Who joined later has nothing before that. */
async function loadCreator(conversation) {
  const room = await session.get(`/rooms/${conversation.roomId}`);
  if (room.joinedSeq === 1) { model.made(conversation, room.creator); }
}

function markRead() {
  if (!current || !isWatching(current.id)) { return; }
  current.unread = 0;
  if (current.lastSeq > current.readSeq) {
    current.readSeq = current.lastSeq;
    client.read(current.id, current.lastSeq);
  }
}

function target(conversation) {
  return conversation.roomId ? { roomId: conversation.roomId } : { receiverId: conversation.userId };
}

async function send(conversation, content) {
  const clientMessageId = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  const pending = { content, senderId: model.me, timestamp: new Date().toISOString() };
  conversation.pending.set(clientMessageId, pending);
  draw();
  try {
    const message = await client.send(target(conversation), content, clientMessageId);
    conversation.pending.delete(clientMessageId);
    model.received(conversation, message, true);
  } catch (error) {
    pending.failed = error.message;
  }
  draw();
}

function sayTyping() {
  const isDue = Date.now() - typedAt > TYPING_EVERY_MS;
  if (current && isDue) {
    typedAt = Date.now();
    client.typing(target(current), true);
  }
}

/** A name the page does not know yet is asked for once. */
function nameOf(userId) {
  if (!model.names.has(userId) && !lookups.has(userId)) {
    const lookup = session.get(`/users/${userId}`).then((user) => {
      model.names.set(userId, user.username);
      draw();
    });
    lookups.set(userId, lookup.catch(() => lookups.delete(userId)));
  }
  return model.names.get(userId) ?? "…";
}

// ---- drawing ----

/** Draws soon, once for however many changes. Not by animation frames: those stop in a tab behind another. */
function draw() {
  drawing ??= setTimeout(() => {
    drawing = null;
    drawList();
    drawConversation();
  }, 15);
}

function drawList() {
  const unread = model.sorted().reduce((sum, conversation) => sum + conversation.unread, 0);
  document.title = unread ? `(${unread}) hobnob` : "hobnob";
  replace($("conversations"), model.sorted().map((conversation) => {
    if (conversation.userId) { conversation.title = nameOf(conversation.userId); }
    return conversationItem(conversation, {
      isCurrent: conversation === current,
      isOnline: model.online.get(conversation.userId) === true,
      onOpen: () => open(conversation),
    });
  }));
}

function drawConversation() {
  $("empty").hidden = Boolean(current);
  $("compose").hidden = !current;
  $("older").hidden = !current?.hasOlder;
  if (!current) { return replace($("messages"), []); }
  $("title").textContent = current.title;
  $("state").textContent = stateOf(current);
  const list = $("messages");
  const isAtEnd = list.dataset.shown !== current.id || list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  replace(list, [...drawCreation(), ...model.messages(current).map(drawMessage)]);
  list.dataset.shown = current.id;
  if (isAtEnd) { list.scrollTop = list.scrollHeight; }
}

/** Stands before the first message, once that is here. */
function drawCreation() {
  const { creatorId, hasOlder } = current;
  if (!creatorId || hasOlder) { return []; }
  return [noteItem(`${creatorId === model.me ? "You" : nameOf(creatorId)} created the room`)];
}

function drawMessage(message) {
  const isMine = message.senderId === model.me;
  const author = current.roomId && !isMine ? nameOf(message.senderId) : "";
  return messageItem(message, { isMine, author, state: isMine ? progress(message) : "" });
}

function progress(message) {
  if (message.failed) { return `not sent: ${message.failed}`; }
  if (!message.seq) { return "sending…"; }
  if (current.roomId) { return ""; }
  if (current.readBy >= message.seq) { return "read"; }
  return message.seen || current.deliveredTo >= message.seq ? "delivered" : "sent";
}

function stateOf(conversation) {
  const typists = model.typists(conversation);
  if (typists.length) { return `${typists.join(", ")} ${typists.length > 1 ? "are" : "is"} typing…`; }
  if (conversation.roomId) { return "room"; }
  return model.online.get(conversation.userId) ? "online" : "offline";
}

// ---- the elements ----

async function search(query) {
  return query.trim() ? session.get(`/users?limit=10&query=${encodeURIComponent(query.trim())}`) : [];
}

/** Calls `show` with the people found, a moment after the last key. */
function whenTyped(input, show) {
  let timer = null;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const query = input.value;
      const people = await search(query).catch(() => []);
      if (query === input.value) { show(people.filter((person) => person.userId !== model.me), query); }
    }, SEARCH_AFTER_MS);
  });
}

function showFound(people, query) {
  const items = people.map((person) => personItem(person, () => {
    $("query").value = "";
    $("found").hidden = true;
    open(model.direct(person));
    watchPeople();
  }));
  $("found").hidden = !query.trim();
  replace($("found"), items.length ? items : [element("li", "muted note", "Nobody found")]);
}

$("account").onsubmit = (event) => { event.preventDefault(); enter("login"); };
$("register").onclick = () => { if ($("account").reportValidity()) { enter("register"); } };
$("logout").onclick = () => { client.stop(); session.logout(); leave(); };
$("back").onclick = () => { current = null; $("chat").classList.remove("open"); draw(); };
$("find").onsubmit = (event) => { event.preventDefault(); $("found").querySelector("button")?.click(); };
$("older").onclick = () => loadHistory(current).then(draw, report);
$("compose").onsubmit = (event) => {
  event.preventDefault();
  const content = $("content").value;
  if (!content.trim()) { return; }
  $("content").value = "";
  send(current, content);
};
$("content").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("compose").requestSubmit();
  }
};
$("content").oninput = sayTyping;
document.addEventListener("visibilitychange", () => { if (model) { markRead(); draw(); } });
whenTyped($("query"), showFound);
roomDialog({
  whenTyped,
  create: async (name, members) => {
    const room = await session.post("/room", { name, members });
    await loadList(false);
    open(model.conversations.get(room._id));
  },
});

if (session.userId) {
  begin().catch((error) => { if (isLoggedOut(error)) { leave(); } else { $("welcome").hidden = false; report(error); } });
} else {
  $("welcome").hidden = false;
}
