//! Which of the frames written to a client are proved received (D28). Counts frames; knows no transport and no time.
//!
//! A successful write proves nothing. A pong proves what was written before *its* ping, so at most one ping is on its
//! way at a time and a pong can never be matched with the wrong one.

/// A position in what was pushed to one outbox: the number of frames pushed before it. Marks of one outbox compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(u64);

#[derive(Debug, Default)]
pub(super) struct Proof {
    pushed: u64,
    taken: u64,
    proved: u64,
    reported: u64,
    /// The highest mark somebody asked for.
    wanted: u64,
    /// A mark was asked for since the last report that covered it, so a report is due even without progress.
    owed: bool,
    /// Frames handed to the writer before the ping that has no pong yet.
    in_flight: Option<u64>,
}

impl Proof {
    pub(super) fn push(&mut self, frames: usize) {
        self.pushed += frames as u64;
    }

    pub(super) fn take(&mut self, frames: usize) {
        self.taken += frames as u64;
    }

    pub(super) fn mark(&mut self) -> Mark {
        self.wanted = self.pushed;
        self.owed = true;
        Mark(self.pushed)
    }

    /// Whether a ping written now would prove the marks asked for, and none is on its way.
    pub(super) fn wants_ping(&self) -> bool {
        self.in_flight.is_none() && self.wanted > self.proved && self.taken >= self.wanted
    }

    pub(super) fn ping_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(super) fn ping_written(&mut self) {
        self.in_flight = Some(self.taken);
    }

    /// Counts a pong; `false` when nobody asked for one.
    pub(super) fn pong(&mut self) -> bool {
        let Some(frames) = self.in_flight.take() else {
            return false;
        };
        self.proved = self.proved.max(frames);
        true
    }

    /// Everything handed to the writer was received.
    pub(super) fn prove_taken(&mut self) {
        self.proved = self.taken;
    }

    pub(super) fn has_report(&self) -> bool {
        self.proved > self.reported || (self.owed && self.proved >= self.wanted)
    }

    /// What is proved, if that is news or was asked for.
    pub(super) fn report(&mut self) -> Option<Mark> {
        if !self.has_report() {
            return None;
        }
        self.reported = self.proved;
        self.owed &= self.proved < self.wanted;
        Some(Mark(self.proved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_proves_only_what_was_written_before_its_ping() {
        let mut proof = Proof::default();
        proof.push(2);
        proof.take(2);
        let first = proof.mark();
        assert!(proof.wants_ping());
        proof.ping_written();
        proof.push(3);
        proof.take(3);
        let second = proof.mark();
        assert!(!proof.wants_ping(), "one ping at a time");
        assert!(proof.pong());
        assert_eq!(proof.report(), Some(first));
        assert!(first < second);
        assert_eq!(proof.report(), None);
        assert!(proof.wants_ping());
        proof.ping_written();
        assert!(proof.pong());
        assert_eq!(proof.report(), Some(second));
    }

    #[test]
    fn a_pong_nobody_asked_for_proves_nothing() {
        let mut proof = Proof::default();
        proof.push(1);
        proof.take(1);
        assert!(!proof.pong());
        assert_eq!(proof.report(), None);
    }

    #[test]
    fn a_mark_waits_until_everything_before_it_is_written() {
        let mut proof = Proof::default();
        proof.push(2);
        proof.mark();
        proof.take(1);
        assert!(!proof.wants_ping());
        proof.take(1);
        assert!(proof.wants_ping());
    }

    #[test]
    fn a_mark_that_is_already_proved_is_reported_without_a_ping() {
        let mut proof = Proof::default();
        proof.push(1);
        proof.take(1);
        proof.prove_taken();
        assert!(proof.report().is_some());
        let mark = proof.mark();
        assert!(!proof.wants_ping());
        assert_eq!(proof.report(), Some(mark));
        assert_eq!(proof.report(), None);
    }
}
