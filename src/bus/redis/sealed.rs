//! A payload as it crosses Redis: with the proof that a gateway of this deployment published it, on this channel, just
//! now, and once. Knows neither connections nor what payloads say.
//!
//! Layout, integers big endian: format (1 byte), proof (16), the publisher (8), its count (8), when it was published in
//! milliseconds since 1970 (8), then the payload. The proof is over the channel's name and everything behind it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;

use crate::domain::{GatewayId, Timestamp, make_room};
use crate::redis::{Seal, TAG_BYTES};

/// The format; payloads of another are refused.
const FORMAT: u8 = 2;

/// Where the proof ends, and what it covers begins.
const COVERED: usize = 1 + TAG_BYTES;

/// How many bytes sealing adds to a payload.
const HEADER: usize = COVERED + 24;

/// How old a payload may be, or seem to be because clocks differ. Longer than a batch waits for its answer; and gateways'
/// clocks must agree within seconds for tokens anyway.
const FRESH: Duration = Duration::from_secs(15);

/// How many of a publisher's latest payloads are told apart. What is later by more than that counts as a repeat: with two
/// connections one may be behind the other by as much as their queues hold, which is a quarter.
const WINDOW: u64 = 65_536;

/// How many publishers are remembered, 8 KiB each; beyond it those that have been silent for `FRESH` are forgotten, whose
/// payloads are all stale. Full of others, a new one is refused: that many gateways have no common Redis.
const PUBLISHERS: usize = 4_096;

/// Why a payload counts for nothing; a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PayloadRefusal {
    /// Not proved to be from this deployment, on this log and this channel.
    Unproved,
    /// Published long ago, or the clocks of two gateways differ.
    Stale,
    /// A payload with this number was heard before.
    Repeated,
}

/// Seals what a gateway publishes, and opens what it hears.
#[derive(Debug)]
pub(super) struct Sealing {
    seal: Arc<Seal>,
    gateway: GatewayId,
    published: AtomicU64,
    heard: Mutex<HashMap<u64, Heard>>,
}

impl Sealing {
    pub(super) fn new(seal: Arc<Seal>, gateway: GatewayId) -> Self {
        Self {
            seal,
            gateway,
            published: AtomicU64::new(0),
            heard: Mutex::default(),
        }
    }

    /// What is published on a channel.
    pub(super) fn seal(&self, name: &str, payload: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER + payload.len());
        out.put_u8(FORMAT);
        out.put_bytes(0, TAG_BYTES);
        out.put_u64(self.gateway.to_u64());
        out.put_u64(self.published.fetch_add(1, Ordering::Relaxed));
        out.put_i64(self.seal.now().millis());
        out.put_slice(payload);
        let tag = self
            .seal
            .sign(&[name.as_bytes(), &[0, FORMAT], &out[COVERED..]]);
        out[1..COVERED].copy_from_slice(&tag);
        out.freeze()
    }

    /// The payload that was heard on a channel.
    pub(super) fn open(&self, name: &str, mut sealed: Bytes) -> Result<Bytes, PayloadRefusal> {
        if sealed.len() < HEADER || sealed[0] != FORMAT {
            return Err(PayloadRefusal::Unproved);
        }
        let mut covered = sealed.split_off(COVERED);
        let parts: [&[u8]; 3] = [name.as_bytes(), &[0, FORMAT], &covered];
        if !self.seal.verifies(&parts, &sealed[1..]) {
            return Err(PayloadRefusal::Unproved);
        }
        let (publisher, count) = (covered.get_u64(), covered.get_u64());
        let at = Timestamp::from_millis(covered.get_i64());
        let now = self.seal.now();
        if now > at.after(FRESH) || at > now.after(FRESH) {
            return Err(PayloadRefusal::Stale);
        }
        match self.admits(publisher, count, now) {
            true => Ok(covered),
            false => Err(PayloadRefusal::Repeated),
        }
    }

    fn admits(&self, publisher: u64, count: u64, now: Timestamp) -> bool {
        let mut heard = self.heard.lock();
        let is_fresh = |heard: &Heard| heard.last.after(FRESH) >= now;
        if !make_room(&mut heard, PUBLISHERS, &publisher, is_fresh) {
            return false;
        }
        let heard = heard
            .entry(publisher)
            .or_insert_with(|| Heard::beginning_at(count, now));
        heard.last = now;
        heard.admits(count)
    }
}

/// Which of one publisher's payloads were heard: a bit for each of the last [`WINDOW`], in a ring.
#[derive(Debug)]
struct Heard {
    newest: u64,
    bits: Box<[u64]>,
    last: Timestamp,
}

impl Heard {
    fn beginning_at(count: u64, now: Timestamp) -> Self {
        Self {
            newest: count,
            bits: vec![0; (WINDOW / 64) as usize].into(),
            last: now,
        }
    }

    /// Whether it is heard for the first time, which it is not from now on.
    fn admits(&mut self, count: u64) -> bool {
        if count.saturating_add(WINDOW) <= self.newest {
            return false;
        }
        if count >= self.newest.saturating_add(WINDOW) {
            self.bits.fill(0);
        } else {
            for skipped in self.newest + 1..=count {
                self.set(skipped, false);
            }
        }
        self.newest = self.newest.max(count);
        !self.set(count, true)
    }

    /// Sets a bit, and returns what it was.
    fn set(&mut self, count: u64, is_heard: bool) -> bool {
        let (word, bit) = ((count % WINDOW / 64) as usize, 1 << (count % 64));
        let before = self.bits[word] & bit != 0;
        match is_heard {
            true => self.bits[word] |= bit,
            false => self.bits[word] &= !bit,
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ManualClock;

    const NAME: &str = "hobnob:room:1";

    fn sealing(secret: &[u8], gateway: u64, clock: &Arc<ManualClock>) -> Sealing {
        let seal = Seal::new(&[secret], "log", Arc::clone(clock) as _);
        Sealing::new(Arc::new(seal), GatewayId::from_u64(gateway))
    }

    fn clock() -> Arc<ManualClock> {
        let now = Timestamp::from_millis(1_764_000_000_000);
        Arc::new(ManualClock::at(now))
    }

    #[test]
    fn what_a_gateway_publishes_is_opened_once_on_its_channel() {
        let clock = clock();
        let (one, other) = (sealing(b"a", 1, &clock), sealing(b"a", 2, &clock));
        let sealed = one.seal(NAME, b"hello");
        let elsewhere = other.open("hobnob:room:2", sealed.clone());
        assert_eq!(elsewhere, Err(PayloadRefusal::Unproved));
        assert_eq!(other.open(NAME, sealed.clone()).unwrap(), "hello");
        assert_eq!(other.open(NAME, sealed), Err(PayloadRefusal::Repeated));
    }

    #[test]
    fn another_secret_a_changed_byte_and_what_is_too_short_prove_nothing() {
        let clock = clock();
        let (one, other) = (sealing(b"a", 1, &clock), sealing(b"b", 2, &clock));
        let sealed = one.seal(NAME, b"hello");
        assert_eq!(
            other.open(NAME, sealed.clone()),
            Err(PayloadRefusal::Unproved)
        );
        for place in 0..sealed.len() {
            let mut forged = sealed.to_vec();
            forged[place] ^= 1;
            let opened = one.open(NAME, forged.into());
            assert_eq!(opened, Err(PayloadRefusal::Unproved), "byte {place}");
            let cut = sealed.slice(..place);
            assert_eq!(one.open(NAME, cut), Err(PayloadRefusal::Unproved));
        }
    }

    #[test]
    fn what_was_published_long_ago_is_stale() {
        let clock = clock();
        let (one, other) = (sealing(b"a", 1, &clock), sealing(b"a", 2, &clock));
        let sealed = one.seal(NAME, b"hello");
        clock.advance(FRESH + Duration::from_millis(1));
        assert_eq!(other.open(NAME, sealed), Err(PayloadRefusal::Stale));
    }

    #[test]
    fn every_count_is_admitted_once_in_any_order_within_the_window() {
        let mut heard = Heard::beginning_at(100, Timestamp::from_millis(0));
        for count in [100, 102, 101, 5, 100 + WINDOW / 2] {
            assert!(heard.admits(count), "{count}");
            assert!(!heard.admits(count), "{count}");
        }
        assert!(heard.admits(100 + WINDOW));
        assert!(!heard.admits(100), "it has left the window");
        assert!(!heard.admits(101), "it was heard");
        assert!(heard.admits(103), "it was not");
        assert!(heard.admits(10 * WINDOW));
        assert!(heard.admits(10 * WINDOW - 1));
    }
}
