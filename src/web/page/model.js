// What the page knows: conversations, their messages, who is online. Applies events to it. Knows no page, no protocol.

/** The most messages kept per conversation; older ones are fetched again when asked for. */
const MOST_MESSAGES = 1000;
/** How long somebody counts as typing without saying so again. */
const TYPING_MS = 4000;

export class Model {
  conversations = new Map();
  names = new Map();
  online = new Map();

  constructor(me) { this.me = me; }

  /** The id of a direct conversation: both users' ids, the smaller first. */
  directId(userId) { return [this.me, userId].sort().join("-"); }

  /** Takes over a conversation as the server lists it. */
  listed(row) {
    const id = row.conversationId;
    const known = this.conversations.get(id) ?? this.#add(id, row);
    known.title = row.name ?? row.username ?? known.title;
    known.lastSeq = Math.max(known.lastSeq, row.lastSeq);
    known.readSeq = Math.max(known.readSeq, row.readSeq);
    known.unread = row.unreadCount;
    if (row.userId && row.username) { this.names.set(row.userId, row.username); }
    if (row.lastMessage) { this.#preview(known, row.lastMessage); }
    return known;
  }

  /** A direct conversation that may not exist yet. */
  direct(person) {
    this.names.set(person.userId, person.username);
    const id = this.directId(person.userId);
    return this.conversations.get(id) ?? this.#add(id, { userId: person.userId, username: person.username });
  }

  /** Applies an event; returns the conversation it changed, if any. `isRead` tells whether the user is looking at it. */
  apply(type, event, isRead) {
    const conversation = this.conversations.get(event.conversationId) ?? this.#fromEvent(event);
    if (!conversation) { return null; }
    if (type === "receive_message" || type === "receive_group_message") {
      this.received(conversation, event, isRead);
      return conversation;
    }
    if (event.change === "created") { this.made(conversation, event.senderId); }
    const target = conversation.messages.get(event.target);
    if (type === "message_edited" && target) { Object.assign(target, { content: event.content, editedAt: event.timestamp }); }
    if (type === "message_deleted" && target) { Object.assign(target, { content: "", deletedAt: event.timestamp }); }
    if (type === "reaction" && target) { react(target, event); }
    conversation.lastSeq = Math.max(conversation.lastSeq, event.seq ?? 0);
    return conversation;
  }

  /** A message arrived, or one of ours was stored. */
  received(conversation, message, isRead) {
    conversation.messages.set(message.seq, message);
    conversation.typing.delete(message.senderId);
    if (message.clientMessageId) { conversation.pending.delete(message.clientMessageId); }
    if (conversation.messages.size > MOST_MESSAGES) { this.#trim(conversation); }
    if (message.seq > conversation.lastSeq) {
      conversation.lastSeq = message.seq;
      if (message.senderId !== this.me && !isRead) { conversation.unread += 1; }
      this.#preview(conversation, message);
    }
  }

  /** Who made a room, for those who belong to it from its beginning. */
  made(conversation, userId) { conversation.creatorId = userId; }

  /** A page of history. */
  history(conversation, page, limit) {
    for (const message of page) { conversation.messages.set(message.seq, message); }
    conversation.hasOlder = page.length === limit;
    conversation.isLoaded = true;
  }

  typing({ conversationId, userId, typing }) {
    const conversation = this.conversations.get(conversationId);
    if (typing) { conversation?.typing.set(userId, Date.now() + TYPING_MS); } else { conversation?.typing.delete(userId); }
    return conversation;
  }

  /** Members have received or read up to here. */
  receipt({ conversationId, cursors }, isRead) {
    const conversation = this.conversations.get(conversationId);
    if (!conversation) { return; }
    for (const [userId, seq] of Object.entries(cursors)) {
      if (userId === this.me) { continue; }
      conversation.deliveredTo = Math.max(conversation.deliveredTo, seq);
      if (isRead) { conversation.readBy = Math.max(conversation.readBy, seq); }
    }
  }

  /** Names of those who are typing now. */
  typists(conversation) {
    const now = Date.now();
    for (const [userId, until] of conversation.typing) {
      if (until < now) { conversation.typing.delete(userId); }
    }
    return [...conversation.typing.keys()].map((userId) => this.names.get(userId) ?? "somebody");
  }

  /** Messages in order, then those on their way. */
  messages(conversation) {
    const stored = [...conversation.messages.values()].sort((one, other) => one.seq - other.seq);
    return [...stored, ...conversation.pending.values()];
  }

  /** Conversations, the one with the newest message first. */
  sorted() {
    return [...this.conversations.values()].sort((one, other) => other.lastAt.localeCompare(one.lastAt));
  }

  #add(id, { userId = null, username, roomId = null, name, createdAt }) {
    const conversation = {
      id, userId, roomId,
      title: name ?? username ?? "…",
      last: "", lastAt: createdAt ?? "", lastSeq: 0, readSeq: 0, unread: 0,
      deliveredTo: 0, readBy: 0,
      creatorId: null, messages: new Map(), pending: new Map(), typing: new Map(),
      isLoaded: false, hasOlder: false,
    };
    this.conversations.set(id, conversation);
    return conversation;
  }

  #fromEvent({ conversationId, roomId, name, senderId, receiverId, timestamp }) {
    if (!conversationId) { return null; }
    const userId = roomId ? null : senderId === this.me ? receiverId : senderId;
    return this.#add(conversationId, { roomId, name, userId, username: this.names.get(userId), createdAt: timestamp });
  }

  #preview(conversation, message) {
    const author = conversation.roomId && message.senderId !== this.me ? this.names.get(message.senderId) : "";
    const text = message.deletedAt ? "deleted" : message.content.slice(0, 80);
    conversation.last = [message.senderId === this.me ? "You" : author, text].filter(Boolean).join(": ");
    conversation.lastAt = message.timestamp;
  }

  #trim(conversation) {
    const oldest = Math.min(...conversation.messages.keys());
    conversation.messages.delete(oldest);
    conversation.hasOlder = true;
  }
}

function react(message, { emoji, senderId, added }) {
  const users = new Set(message.reactions?.[emoji]);
  if (added) { users.add(senderId); } else { users.delete(senderId); }
  message.reactions = { ...message.reactions, [emoji]: [...users] };
  if (!users.size) { delete message.reactions[emoji]; }
}
