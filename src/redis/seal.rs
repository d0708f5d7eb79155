//! The proof that something in Redis was put there by a gateway of this deployment, on this log: an HMAC-SHA-256 (RFC
//! 2104) whose keys are derived from the secrets that sign tokens and from the log's identity. Knows nothing of what it
//! proves.
//!
//! Redis is not trusted: pub/sub ignores database numbers, so a restored copy of a deployment on another database of the
//! same server hears everything; and whoever reaches the server can publish. What has no proof counts for nothing.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use parking_lot::RwLock;
use sha2::Sha256;

use crate::domain::{Clock, Timestamp};

type Keyed = Hmac<Sha256>;

/// Says what the derived keys are for; another format has another.
const LABEL: &[u8] = b"hobnob hints 2";

/// Bytes of a proof: HMAC-SHA-256 truncated to 128 bits (RFC 2104, section 5).
pub const TAG_BYTES: usize = 16;

/// The proof that a payload is from this deployment: an HMAC-SHA-256, cut.
pub type Tag = [u8; TAG_BYTES];

/// The keys of one deployment and log: the first signs, all verify, so that secrets can be rotated.
pub struct Seal {
    keys: RwLock<Vec<Keyed>>,
    log: Box<str>,
    clock: Arc<dyn Clock>,
}

impl Seal {
    /// Of these secrets, the first of which signs, on the log with this identity.
    #[must_use]
    pub fn new(secrets: &[&[u8]], log: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys: RwLock::new(derived(secrets, log)),
            log: log.into(),
            clock,
        }
    }

    /// Replaces the secrets; takes effect with the next payload.
    pub fn replace(&self, secrets: &[&[u8]]) {
        *self.keys.write() = derived(secrets, &self.log);
    }

    /// The proof for these bytes, which begin with what they are of; their borders are not part of it.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Tag {
        let keys = self.keys.read();
        keys.first().map(|key| tag(key, parts)).unwrap_or_default()
    }

    /// Whether a gateway of this deployment has signed these bytes.
    #[must_use]
    pub fn verifies(&self, parts: &[&[u8]], given: &[u8]) -> bool {
        let keys = self.keys.read();
        given.len() == TAG_BYTES
            && keys
                .iter()
                .any(|key| with(key, parts).verify_truncated_left(given).is_ok())
    }

    /// What time it is, for what must be fresh.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn derived(secrets: &[&[u8]], log: &str) -> Vec<Keyed> {
    let derive = |secret: &&[u8]| {
        let key = with(&keyed(secret), &[LABEL, b"\0", log.as_bytes()]);
        keyed(&key.finalize().into_bytes())
    };
    secrets.iter().map(derive).collect()
}

fn keyed(key: &[u8]) -> Keyed {
    // RFC 2104 takes keys of any length, so there is no error.
    Keyed::new_from_slice(key).unwrap_or_else(|_| Keyed::new(&Default::default()))
}

fn with(key: &Keyed, parts: &[&[u8]]) -> Keyed {
    let mut mac = key.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn tag(key: &Keyed, parts: &[&[u8]]) -> Tag {
    let whole = with(key, parts).finalize().into_bytes();
    let mut tag = Tag::default();
    tag.copy_from_slice(&whole[..TAG_BYTES]);
    tag
}

impl fmt::Debug for Seal {
    /// Prints no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ManualClock;

    const WORDS: &[&[u8]] = &[b"inbox", b"payload"];

    fn seal(secrets: &[&[u8]], log: &str) -> Seal {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        Seal::new(secrets, log, Arc::new(clock))
    }

    #[test]
    fn only_the_same_secret_on_the_same_log_verifies() {
        let tag = seal(&[b"one"], "log").sign(WORDS);
        assert!(seal(&[b"one"], "log").verifies(WORDS, &tag));
        assert!(!seal(&[b"one"], "copy").verifies(WORDS, &tag));
        assert!(!seal(&[b"two"], "log").verifies(WORDS, &tag));
        assert!(!seal(&[b"one"], "log").verifies(&[b"other", b"payload"], &tag));
        assert!(!seal(&[b"one"], "log").verifies(WORDS, &tag[1..]));
    }

    #[test]
    fn secrets_rotate_the_first_signs_and_all_verify() {
        let rotating = seal(&[b"old"], "log");
        let old = rotating.sign(WORDS);
        rotating.replace(&[b"new", b"old"]);
        assert!(rotating.verifies(WORDS, &old));
        let new = rotating.sign(WORDS);
        assert!(seal(&[b"new"], "log").verifies(WORDS, &new));
        assert!(!seal(&[b"old"], "log").verifies(WORDS, &new));
    }
}
