-- The embedded store's tables, version 1. Ids are 12-byte blobs; a conversation's key is its room's id, or the two
-- users' ids of a direct conversation, lower first. Times are milliseconds since 1970. Kinds and roles are numbers
-- that columns.rs names.

CREATE TABLE users (
    id              BLOB NOT NULL PRIMARY KEY,
    username        TEXT NOT NULL,
    username_folded TEXT NOT NULL UNIQUE,
    password_hash   TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    last_seen_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    id          BLOB PRIMARY KEY,
    name        TEXT,
    creator     BLOB,
    created_at  INTEGER NOT NULL,
    deleted_seq INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    conversation  BLOB NOT NULL,
    user          BLOB NOT NULL,
    role          INTEGER NOT NULL,
    joined_seq    INTEGER NOT NULL,
    left_seq      INTEGER,
    delivered_seq INTEGER NOT NULL,
    read_seq      INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user);

-- Clustered by (conversation, seq), the only authority on order: a page of a log is read in one sweep, other kinds
-- than messages skipped in passing. An index more, of messages only, would be one more page to write per message.
CREATE TABLE events (
    conversation      BLOB NOT NULL,
    seq               INTEGER NOT NULL,
    id                BLOB NOT NULL,
    kind              INTEGER NOT NULL,
    sender            BLOB NOT NULL,
    at                INTEGER NOT NULL,
    content           TEXT,    -- a message, what an edit put, a reaction, a room's name
    client_message_id TEXT,    -- of a message
    fingerprint       BLOB,    -- of a message
    edited_at         INTEGER, -- of a message
    deleted_at        INTEGER, -- of a message
    reactions         TEXT,    -- of a message: {emoji: [user id in hexadecimal]}
    target            INTEGER, -- seq of the message that was edited, deleted or reacted to
    added             INTEGER, -- of a reaction: put on (1) or taken off (0)
    subject           BLOB,    -- the user whose membership changed
    role              INTEGER, -- the role that user has now
    heir              BLOB,    -- who inherited the room
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

-- The only authority on retries.
CREATE UNIQUE INDEX events_by_client_message_id ON events (conversation, sender, client_message_id) WHERE kind = 0;
-- A change that is repeated finds its event; a message's retry goes by clientMessageId.
CREATE UNIQUE INDEX events_changes ON events (conversation, id) WHERE kind > 0;
-- The edits of a message, whose contents go when it is deleted.
CREATE INDEX events_edits ON events (conversation, target) WHERE kind = 1;

CREATE TABLE refresh_tokens (
    hash       BLOB PRIMARY KEY,
    user       BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);
