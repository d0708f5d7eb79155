// Builds the page's elements from values. Everything users wrote becomes text, never markup. Knows no state and no
// protocol.

/** An element with a class, a text and children. */
export function element(tag, className = "", text = "", ...children) {
  const made = document.createElement(tag);
  made.className = className;
  if (text) { made.textContent = text; }
  made.append(...children);
  return made;
}

export function replace(parent, children) {
  parent.replaceChildren(...children);
}

/** A conversation in the list. */
export function conversationItem(conversation, { isCurrent, isOnline, onOpen }) {
  const button = element("button", "item");
  button.type = "button";
  button.dataset.conversation = conversation.id;
  button.setAttribute("aria-current", String(isCurrent));
  const dot = element("span", conversation.roomId ? "dot room" : "dot");
  dot.classList.toggle("online", isOnline);
  dot.title = conversation.roomId ? "Room" : isOnline ? "Online" : "Offline";
  const unread = conversation.unread > 99 ? "99+" : String(conversation.unread);
  const badge = conversation.unread ? element("span", "badge", unread) : "";
  button.append(dot, element("span", "name", conversation.title), badge, element("span", "last", conversation.last));
  button.onclick = onOpen;
  return element("li", "", "", button);
}

/** A person found. */
export function personItem(person, onPick) {
  const button = element("button", "item");
  button.type = "button";
  button.dataset.user = person.userId;
  button.append(element("span", "dot"), element("span", "name", person.username));
  button.onclick = onPick;
  return element("li", "", "", button);
}

/** A person picked, with a way to take that back. */
export function chip(person, onRemove) {
  const button = element("button", "", `${person.username} ×`);
  button.type = "button";
  button.title = "Take off the list";
  button.onclick = onRemove;
  return element("li", "", "", button);
}

/** A message, or one on its way. `state` is what stands below it. */
export function messageItem(message, { isMine, author, state }) {
  const item = element("li", "message");
  item.classList.toggle("mine", isMine);
  item.classList.toggle("failed", Boolean(message.failed));
  if (message.seq) { item.dataset.seq = message.seq; }
  if (author) { item.append(element("div", "author", author)); }
  item.append(message.deletedAt ? element("div", "text deleted", "deleted") : element("div", "text", message.content));
  const reactions = Object.entries(message.reactions ?? {}).map(([emoji, users]) => `${emoji} ${users.length}`);
  if (reactions.length) { item.append(element("div", "meta", reactions.join("  "))); }
  const parts = [time(message.timestamp), message.editedAt && !message.deletedAt ? "edited" : "", state];
  item.append(element("div", "meta", parts.filter(Boolean).join(" · ")));
  return item;
}

/** A line between the messages about the conversation itself. */
export function noteItem(text) { return element("li", "note", text); }

function time(timestamp) {
  const moment = new Date(timestamp);
  const isToday = moment.toDateString() === new Date().toDateString();
  const clock = { hour: "2-digit", minute: "2-digit" };
  return moment.toLocaleString([], isToday ? clock : { ...clock, day: "numeric", month: "short" });
}
