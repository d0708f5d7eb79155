//! Why sessions end, as clients are told: one table of WebSocket close codes (RFC 6455, section 7.4), split into those
//! after which a client should reconnect and resume, and those after which the same attempt would fail again.

use super::reason::Reason;

/// What a closing frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// 1000–1015 are the protocol's own; 4000–4099: reconnect; 4100–4199: do not.
    pub code: u16,
    /// The reason's name.
    pub reason: &'static str,
    /// Whether reconnecting makes sense.
    pub reconnect: bool,
}

impl Closing {
    /// What the code tells the client to do, as a metric's label: `normal` when it went by itself.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self.code {
            1000 => "normal",
            _ if self.reconnect => "reconnect",
            _ => "final",
        }
    }
}

/// The closing frame for a reason.
#[must_use]
pub const fn closing(reason: Reason) -> Closing {
    let (code, reconnect) = match reason {
        Reason::TransportClosed => (1000, true),
        Reason::TransportError => (1001, true),
        Reason::ProtocolError => (1002, false),
        Reason::UnsupportedData => (1003, false),
        Reason::InvalidUtf8 => (1007, false),
        Reason::TooLarge => (1009, false),
        Reason::Draining => (1012, true),
        Reason::ServerClosed => (1013, true),
        Reason::SlowConsumer => (4001, true),
        Reason::PingTimeout => (4002, true),
        Reason::Unauthorized => (4101, false),
        Reason::ConnectTimeout => (4102, false),
        Reason::TooManySessions => (4103, false),
    };
    Closing {
        code,
        reason: reason.name(),
        reconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_say_by_their_range_whether_to_reconnect() {
        for reason in Reason::ALL {
            let Closing {
                code, reconnect, ..
            } = closing(reason);
            if code >= 4000 {
                assert_eq!(reconnect, code < 4100, "{reason:?}");
            }
        }
    }

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        let mut codes: Vec<u16> = Reason::ALL
            .into_iter()
            .map(|reason| closing(reason).code)
            .collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
