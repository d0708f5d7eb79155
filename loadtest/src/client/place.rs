//! How far one device has come in one conversation, and whether what arrives next may arrive so.
//!
//! The rules: events come in the order of their seq; a repeat is permitted only after a reconnect, for what lies beyond
//! the point the client asked to resume from (D28, D30); one's own direct messages may come as the answer to the send
//! instead of as an event, or as both around a reconnect (D29). Knows no wire.

use std::collections::{BTreeSet, HashMap};

/// What an arrival means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// New, and in order.
    New,
    /// New, but after a later one.
    OutOfOrder,
    /// Had before, beyond the point from which this connection was to resume: nothing proved it received (D28).
    PermittedAfterReconnect,
    /// Had before by the answer to a repeated send; this is the event that the first try led to (D29).
    PermittedAfterRetry,
    /// Had before, and should not have come again.
    Repeated,
}

/// One conversation on one device.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Everything up to here is had.
    contiguous: u64,
    /// What is had beyond.
    ahead: BTreeSet<u64>,
    /// The latest event that was delivered.
    latest: u64,
    /// What came in the present connection, as an event or as the answer to the own send.
    in_connection: BTreeSet<u64>,
    /// Had by the answer to a repeated send, whose first try may have led to an event that is still on its way.
    doubtful: BTreeSet<u64>,
    /// Where the present connection asked to resume; `None` when it left that to the server.
    resumed: Option<u64>,
}

impl Place {
    /// Where the next connection is to resume, with nothing missing below.
    pub(super) fn contiguous(&self) -> u64 {
        self.contiguous
    }

    /// A membership begins here: what lies before is none of this device's business, even if it belonged there before.
    pub(super) fn begins_at(&mut self, seq: u64) {
        self.contiguous = self.contiguous.max(seq);
        self.ahead.retain(|ahead| *ahead > seq);
        self.add(seq);
    }

    /// A new connection begins, which asked to resume from here, or did not ask.
    pub(super) fn reconnected(&mut self, resumed: Option<u64>) {
        self.resumed = resumed;
        self.in_connection.clear();
    }

    /// The answer to an own direct send names its seq. True if it was not had before. After the answer to a first try the
    /// event must not come in the same connection (D19); after a repeated send it may (D29).
    pub(super) fn answered(&mut self, seq: u64, is_first_try: bool) -> bool {
        let is_new = !self.has(seq);
        if is_new {
            match is_first_try {
                true => self.in_connection.insert(seq),
                false => self.doubtful.insert(seq),
            };
            self.add(seq);
        }
        is_new
    }

    /// An event arrived. `own_direct`: it is the device's own direct message.
    pub(super) fn arrived(&mut self, seq: u64, own_direct: bool) -> Arrival {
        let is_first_here = self.in_connection.insert(seq);
        let is_doubtful = self.doubtful.remove(&seq);
        let arrival = if is_doubtful {
            Arrival::PermittedAfterRetry
        } else if self.has(seq) {
            let asked_for = self.resumed.is_none_or(|resumed| seq > resumed);
            match is_first_here && asked_for {
                true => Arrival::PermittedAfterReconnect,
                false => Arrival::Repeated,
            }
        } else if seq < self.latest && !own_direct {
            Arrival::OutOfOrder
        } else {
            Arrival::New
        };
        self.latest = self.latest.max(seq);
        self.add(seq);
        self.forget_old();
        arrival
    }

    /// Whether this event is had.
    pub(super) fn has(&self, seq: u64) -> bool {
        seq <= self.contiguous || self.ahead.contains(&seq)
    }

    fn add(&mut self, seq: u64) {
        if seq > self.contiguous {
            self.ahead.insert(seq);
        }
        while self.ahead.remove(&(self.contiguous + 1)) {
            self.contiguous += 1;
        }
    }

    /// Keeps the record of a connection short. A repeat of what lies so far back is told by the resume point alone.
    fn forget_old(&mut self) {
        const KEPT: usize = 1024;
        while self.in_connection.len() > KEPT {
            let first = self.in_connection.pop_first();
            // From here on a repeat of it counts as one that nobody asked for.
            self.resumed = self.resumed.max(first);
        }
        while self.doubtful.len() > KEPT {
            self.doubtful.pop_first();
        }
    }
}

/// The place in a conversation; copies the id only the first time.
pub(super) fn place_in<'a>(
    places: &'a mut HashMap<String, Place>,
    conversation: &str,
) -> Option<&'a mut Place> {
    if !places.contains_key(conversation) {
        places.insert(conversation.to_owned(), Place::default());
    }
    places.get_mut(conversation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seqs: impl IntoIterator<Item = u64>) -> Place {
        let mut place = Place::default();
        for seq in seqs {
            assert_eq!(place.arrived(seq, false), Arrival::New);
        }
        place
    }

    #[test]
    fn a_dense_order_is_new_and_moves_the_resume_point() {
        assert_eq!(after(1..=5).contiguous(), 5);
        assert_eq!(after([1, 2, 4]).contiguous(), 2);
    }

    #[test]
    fn a_membership_that_begins_again_leaves_no_gap_behind() {
        let mut place = after([1, 2, 8]);
        place.begins_at(7);
        assert_eq!(place.contiguous(), 8);
        assert_eq!(place.arrived(9, false), Arrival::New);
        assert_eq!(place.contiguous(), 9);
    }

    #[test]
    fn a_late_event_is_out_of_order_even_after_a_reconnect() {
        let mut place = after([1, 2, 4]);
        assert_eq!(place.arrived(3, false), Arrival::OutOfOrder);
        let mut place = after([1, 2, 4]);
        place.reconnected(Some(2));
        assert_eq!(place.arrived(3, false), Arrival::OutOfOrder);
        assert_eq!(place.arrived(4, false), Arrival::PermittedAfterReconnect);
        assert_eq!(place.contiguous(), 4);
    }

    #[test]
    fn d28_a_repeat_is_permitted_once_beyond_the_resume_point_only() {
        let mut place = after(1..=3);
        assert_eq!(place.arrived(3, false), Arrival::Repeated);
        place.reconnected(Some(3));
        assert_eq!(place.arrived(3, false), Arrival::Repeated);
        place.reconnected(None);
        assert_eq!(place.arrived(3, false), Arrival::PermittedAfterReconnect);
        assert_eq!(place.arrived(3, false), Arrival::Repeated);
    }

    #[test]
    fn d29_the_answer_to_a_direct_send_counts_as_its_event() {
        let mut place = after(1..=3);
        assert_eq!(place.arrived(5, false), Arrival::New);
        assert!(place.answered(4, true));
        assert_eq!(place.contiguous(), 5);
        place.reconnected(Some(3));
        assert_eq!(place.arrived(4, true), Arrival::PermittedAfterReconnect);
        assert_eq!(place.arrived(5, false), Arrival::PermittedAfterReconnect);
        assert_eq!(place.arrived(5, false), Arrival::Repeated);
    }

    #[test]
    fn d19_an_answered_send_does_not_come_as_an_event_too() {
        let mut place = after(1..=3);
        assert!(place.answered(4, true));
        assert_eq!(place.arrived(4, true), Arrival::Repeated);
        assert!(place.answered(5, false));
        assert_eq!(place.arrived(5, true), Arrival::PermittedAfterRetry);
        assert_eq!(place.arrived(5, true), Arrival::Repeated);
    }
}
