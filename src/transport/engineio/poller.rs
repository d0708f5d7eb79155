//! What a session knows of the client that polls: whether two of its polls can be told apart, and how much of an answer
//! it takes. Knows no session and no HTTP.
//!
//! Browsers, HTTP libraries and proxies send a GET again by themselves when its connection breaks. To us that is one more
//! poll; but the answer to the one before, with what was in it, never arrived, and must not count as received (D28). A
//! `t` that is new with each poll, as the official client's is, tells the two apart. The protocol promises no such thing:
//! C# and Unity send whole seconds, others a constant or nothing. Of them no poll proves anything: each answer carries a
//! ping of its own, and the next one waits for its pong.

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;

use crate::transport::outbox::Pings;

/// Packets in one answer to a client that is not known to take more: python-engineio ends its session at the 17th.
const CAUTIOUS_PACKETS: usize = 16;

/// How the clients begin their `User-Agent` that take an answer however many packets it has: those of browsers, and the
/// official client in Node. Others may have the same bound as python-engineio, whose applications may choose their own.
const TAKES_ANY: [&str; 2] = ["Mozilla/", "node-XMLHttpRequest"];

/// What a poll says of the answer to the poll before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    /// The response to the poll before has arrived: this is another poll.
    Arrived,
    /// It was lost: this is the same poll again.
    Lost,
    /// It does not tell: this may be another poll or the same again.
    Unknown,
}

/// The client of one session. By default one that is told no more than every client takes.
#[derive(Debug, Default)]
pub(super) struct Poller {
    takes_any: bool,
    is_indistinct: bool,
    has_polled: bool,
    /// The `t` of its last request: the handshake or a poll.
    last: Option<Box<str>>,
}

impl Poller {
    /// The client of this handshake.
    pub(super) fn new(timestamp: Option<String>, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes());
        let takes_any = agent.is_some_and(|agent| {
            let mut known = TAKES_ANY.iter();
            known.any(|begin| agent.starts_with(begin.as_bytes()))
        });
        Self {
            takes_any,
            is_indistinct: is_indistinct(timestamp.as_deref()),
            has_polled: false,
            last: timestamp.map(String::into_boxed_str),
        }
    }

    /// Takes note of a poll.
    pub(super) fn poll(&mut self, timestamp: Option<String>) -> Previous {
        let is_another = self.last.as_deref() != timestamp.as_deref();
        let is_first = !std::mem::replace(&mut self.has_polled, true);
        self.is_indistinct |= is_indistinct(timestamp.as_deref()) || (is_first && !is_another);
        self.last = timestamp.map(String::into_boxed_str);
        if self.is_indistinct {
            Previous::Unknown
        } else if is_another {
            Previous::Arrived
        } else {
            Previous::Lost
        }
    }

    /// How the receipt of its answers is proved.
    pub(super) const fn pings(&self) -> Pings {
        if self.is_indistinct {
            Pings::EachBatch
        } else {
            Pings::HeartbeatOnly
        }
    }

    /// Frames in one answer: one packet of the bound is left for what ends a payload, a ping or a noop.
    pub(super) const fn most_frames(&self) -> usize {
        if self.takes_any {
            usize::MAX
        } else {
            CAUTIOUS_PACKETS - 1
        }
    }
}

/// Whether two polls may have this same `t`: there is none, or it has digits alone and so may be a clock's, within one
/// tick of which a client can poll twice.
fn is_indistinct(timestamp: Option<&str>) -> bool {
    timestamp.is_none_or(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polls(handshake: Option<&str>, polls: &[Option<&str>]) -> Vec<Previous> {
        let mut poller = Poller::new(handshake.map(str::to_owned), &HeaderMap::new());
        let seen = polls.iter().map(|t| poller.poll(t.map(str::to_owned)));
        seen.collect()
    }

    #[test]
    fn a_t_that_is_new_each_time_tells_the_same_poll_from_the_next() {
        let seen = polls(Some("Nx1"), &[Some("Nx2"), Some("Nx3"), Some("Nx3")]);
        assert_eq!(seen, [Previous::Arrived, Previous::Arrived, Previous::Lost]);
        let python = polls(Some("1732.25"), &[Some("1732.5"), Some("1732.5")]);
        assert_eq!(python, [Previous::Arrived, Previous::Lost]);
    }

    #[test]
    fn a_clock_a_constant_or_nothing_tells_nothing_ever() {
        for t in [Some("1732729092"), Some("Nx1"), None] {
            assert_eq!(polls(t, &[t, t]), [Previous::Unknown; 2], "{t:?}");
        }
        let seen = polls(Some("Nx1"), &[Some("Nx2"), Some("1732729092"), Some("Nx3")]);
        assert_eq!(seen[1..], [Previous::Unknown; 2]);
    }

    #[test]
    fn who_is_known_to_take_any_number_of_packets_gets_them() {
        let most = |agent: &'static str| {
            let headers = HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
            Poller::new(None, &headers).most_frames()
        };
        assert_eq!(most("Mozilla/5.0 (X11; Linux x86_64)"), usize::MAX);
        assert_eq!(most("node-XMLHttpRequest"), usize::MAX);
        assert_eq!(most("Python/3.11 aiohttp/3.14.5"), 15);
        assert_eq!(most("python-requests/2.32.3"), 15);
        assert_eq!(Poller::default().most_frames(), 15);
    }
}
