//! Messages, which are what most events are. Knows neither how they are stored nor how they are written.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{ClientMessageId, Content, Emoji, Timestamp, UserId};

/// A message as it stands now: edits, deletion and reactions are projected onto it (D8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says; none once deleted.
    pub content: Option<Content>,
    /// The sender's own id for it. The gateway makes one when the client sends none: then it is the event's id in
    /// hexadecimal, and is not shown.
    pub client_message_id: ClientMessageId,
    /// Of what was first sent; stays when the content is edited or deleted, so that a retry is still recognised (P3).
    pub fingerprint: Fingerprint,
    /// What it said before its first edit; none when it was never edited, or was deleted, or was edited by a version
    /// that did not keep it. Never shown but to former members ([`super::Event::into_sent`]).
    pub original: Option<Content>,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Who reacted how.
    pub reactions: Reactions,
}

impl Message {
    pub(super) fn weight(&self) -> usize {
        /// A user's id in a list of JSON.
        const ID: usize = 28;
        /// An emoji, at most 16 characters of four bytes, with its quotes and brackets.
        const EMOJI: usize = 72;
        self.content.as_ref().map_or(0, Content::json_bytes)
            + self.client_message_id.as_str().len()
            + self.reactions.0.len() * EMOJI
            + self.reactions.count() * ID
    }

    /// Whether anything that came later in the log shows on it.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.edited_at.is_some() || self.deleted_at.is_some() || !self.reactions.0.is_empty()
    }

    /// The message as it was first sent, without anything that came later in the log, but for a deletion, which clears
    /// it for everybody. One whose first text is not known any more is cleared, too.
    #[must_use]
    pub(super) fn into_sent(self) -> Self {
        let sent = match self.edited_at {
            Some(_) => self.original,
            None => self.content,
        };
        Self {
            content: sent,
            original: None,
            edited_at: None,
            deleted_at: None,
            reactions: Reactions::default(),
            ..self
        }
    }
}

/// Who reacted with what, in a stable order. Bounded: see [`Reactions::LIMIT`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reactions(pub BTreeMap<Emoji, Vec<UserId>>);

impl Reactions {
    /// The most reactions on one message, all users and emoji together.
    pub const LIMIT: usize = 1000;

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether this user has reacted with this.
    #[must_use]
    pub fn has(&self, emoji: &Emoji, user: UserId) -> bool {
        self.0.get(emoji).is_some_and(|users| users.contains(&user))
    }

    /// The same with this one put on or taken off.
    #[must_use]
    pub fn with(mut self, emoji: &Emoji, user: UserId, added: bool) -> Self {
        let users = self.0.entry(emoji.clone()).or_default();
        users.retain(|other| *other != user);
        if added {
            users.push(user);
        }
        if users.is_empty() {
            self.0.remove(emoji);
        }
        self
    }
}

/// The first 16 bytes of a content's SHA-256 (FIPS 180-4): tells a retry from a reuse of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of this content.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        let digest = Sha256::digest(content.as_str().as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// The bytes that are stored.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// From the bytes that are stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}
