//! A session: one connection of one user, the same thing behind both protocols. Knows its outbox, what it was given and
//! where it stands in each conversation; knows neither topics nor the protocol that drains the outbox.
//!
//! Lock order: a topic's lock before a session's, a session's before its outbox's.

mod guards;
mod places;
mod standing;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::Counter;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::offer::{Encoded, Encoding, Offer, Protocol};
use super::own_sends::OwnSends;
use super::pacer::{Paced, Pacer};
use super::receipts::Receipts;
use super::seats::Seat;
use crate::domain::{ConversationId, EventId, Seq, SessionId, Timestamp, UserId};
use crate::throttle::{Meter, Rate, TooFast};
use crate::transport::outbox::{Frame, Mark, Outbox, Reason};

pub use guards::{Expectation, Unanswered};
pub use places::Place;
use places::Places;

/// The shortest time between two marks of one session (D28: at most one ping a second).
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long a mark that is due waits for the next event, whose frame its ping can share a write with.
const MARK_WAITS: Duration = Duration::from_millis(250);

/// One connection of one user, over either protocol.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    user: UserId,
    encoding: &'static Encoding,
    outbox: Outbox,
    pacer: Arc<Pacer>,
    deliveries: Counter,
    /// Cursors move by proof of receipt (`ack: "auto"`) rather than by the client's word.
    is_auto: AtomicBool,
    /// When its token expires, in milliseconds since the epoch.
    expires_at: AtomicI64,
    /// Requests that are not answered yet.
    unanswered: AtomicUsize,
    /// None when it has ended.
    seat: Mutex<Option<Seat>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    places: Places,
    receipts: Receipts<Mark>,
    own: OwnSends,
    last_mark: Option<Instant>,
    /// The pacer has it on its list.
    is_paced: bool,
    watching: HashSet<UserId>,
    meter: Meter,
}

/// What a new session is made of.
#[derive(Debug)]
pub struct NewSession {
    /// What it is called in logs, and on other gateways.
    pub id: SessionId,
    /// The user whose session it is.
    pub user: UserId,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// How events are encoded for its protocol.
    pub encoding: &'static Encoding,
    /// What waits to be written to the client.
    pub outbox: Outbox,
    /// Whether cursors move by proof of receipt.
    pub is_auto: bool,
    /// Its seat among the sessions there may be.
    pub seat: Seat,
}

impl State {
    fn mark_is_due(&self, now: Instant, every: Duration) -> bool {
        let is_due = |last| now.duration_since(last) >= every;
        self.receipts.wants_mark() && self.last_mark.is_none_or(is_due)
    }

    fn mark(&mut self, mark: Mark, now: Instant) {
        self.last_mark = Some(now);
        self.receipts.mark(mark, &self.own);
    }
}

impl Session {
    pub(super) fn new(new: NewSession, pacer: Arc<Pacer>, deliveries: Counter) -> Arc<Self> {
        Arc::new(Self {
            id: new.id,
            user: new.user,
            encoding: new.encoding,
            outbox: new.outbox,
            pacer,
            deliveries,
            is_auto: AtomicBool::new(new.is_auto),
            expires_at: AtomicI64::new(new.expires_at.millis()),
            unanswered: AtomicUsize::new(0),
            seat: Mutex::new(Some(new.seat)),
            state: Mutex::default(),
        })
    }

    /// What it is called in logs, and on other gateways.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The user whose session it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// What its client speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.encoding.protocol
    }

    /// Why it has ended, if it has.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.outbox.reason()
    }

    /// When its token expires.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.expires_at.load(Ordering::Relaxed))
    }

    /// Moves the session's end to a new token's expiry.
    pub fn extend(&self, expires_at: Timestamp) {
        self.expires_at
            .store(expires_at.millis(), Ordering::Relaxed);
    }

    /// Who moves the cursors: proof of receipt, or the client's word.
    pub fn set_auto(&self, is_auto: bool) {
        self.is_auto.store(is_auto, Ordering::Relaxed);
    }

    /// Whether cursors move by proof of receipt.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.is_auto.load(Ordering::Relaxed)
    }

    /// Ends the session, for this reason.
    pub fn close(&self, reason: Reason) {
        self.outbox.close(reason);
    }

    /// It has ended: another one may have its seat, whoever still holds this one.
    pub(super) fn leave_seat(&self) {
        drop(self.seat.lock().take());
    }

    /// Whether it has ended, or is about to.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    /// Whether the outbox can take backlog or repair.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.outbox.queued_bytes()
    }

    /// Waits until the outbox has room, or the session has ended.
    pub async fn room(&self) {
        // Closed: there is nothing to wait for.
        let _ = self.outbox.room().await;
    }

    /// Writes a frame of the session's own protocol. A full outbox closes the session; then there is nobody to tell.
    pub fn write(&self, frame: Frame) {
        let _ = self.outbox.push(frame);
    }

    /// Writes something that is in no log.
    pub fn write_encoded(&self, encoded: &Encoded) {
        self.write(encoded.frame(self.encoding));
    }

    /// Gives an event: writes it, unless the answer to the session's own request shows it (D19, D29).
    pub(super) fn give(self: &Arc<Self>, offer: &Arc<Offer>) {
        let mut state = self.state.lock();
        let is_shown = offer.is_direct() && state.own.passes(offer);
        state.receipts.give(offer.conversation, offer.seq);
        if !is_shown {
            self.write_event(&mut state, offer);
        }
        if self.is_auto()
            && state.receipts.has_unmarked()
            && !std::mem::replace(&mut state.is_paced, true)
        {
            self.pacer.wants_mark(Arc::clone(self) as _);
        }
    }

    fn write_event(&self, state: &mut State, offer: &Offer) {
        let Some(encoded) = &offer.encoded else {
            return;
        };
        self.deliveries.increment(1);
        let frame = encoded.frame(self.encoding);
        let now = Instant::now();
        if !self.is_auto() || !state.mark_is_due(now, MARK_EVERY) {
            return self.write(frame);
        }
        // The ping leaves with the event: a write of its own would cost as much as a delivery.
        if let Ok(mark) = self.outbox.push_and_mark(frame) {
            state.mark(mark, now);
        }
    }

    /// A direct message of the session's has its answer, or gets none that shows it: then it is written like those of
    /// others, and has come late as its answer would have.
    fn expect_no_more(&self, id: EventId) {
        let mut state = self.state.lock();
        if let Some(offer) = state.own.expect_no_more(id) {
            self.write_event(&mut state, &offer);
        }
    }

    /// The client says that it has everything up to here.
    pub(super) fn acknowledged(&self, conversation: ConversationId, seq: Seq) {
        self.state.lock().receipts.acknowledge(conversation, seq);
    }

    /// A send of this session was committed, and will be answered.
    pub(super) fn own_committed(&self, conversation: ConversationId, seq: Seq, id: EventId) {
        self.state.lock().own.committed(conversation, seq, id);
    }

    /// Whether it may ask now, at this rate.
    ///
    /// # Errors
    /// [`TooFast`].
    pub fn admit(&self, rate: Rate) -> Result<(), TooFast> {
        self.state.lock().meter.take(rate, Instant::now())
    }

    /// Whether every request is answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) == 0
    }

    /// Marks what was given at once, whatever the pace (D48).
    pub fn mark_now(&self) {
        let mut state = self.state.lock();
        if self.is_auto() && state.receipts.has_unmarked() {
            let mark = self.outbox.mark();
            state.mark(mark, Instant::now());
        }
    }

    /// What of everything given was proved by now, at the session's end: nobody is asked any more.
    pub(super) fn last_proof(&self) -> Option<Mark> {
        self.mark_now();
        self.outbox.take_report()
    }

    /// Everything before this mark was received: hands on the cursors that move.
    pub(super) fn prove(&self, mark: Mark, mut proved: impl FnMut(ConversationId, Seq)) {
        // Under the lock: whoever finds the session settled finds the proof handed on (D33).
        let mut state = self.state.lock();
        for (conversation, seq) in state.receipts.prove(&mark) {
            proved(conversation, seq);
        }
    }

    /// Whether everything given is proved received, or acknowledged by the client.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state.lock().receipts.is_settled()
    }

    /// Notes users whose presence it shows, at most `limit` in all; those that are new. `None` when they are too many.
    pub(super) fn watch(&self, users: &[UserId], limit: usize) -> Option<Vec<UserId>> {
        let mut state = self.state.lock();
        let mut new: Vec<UserId> = users
            .iter()
            .copied()
            .filter(|user| !state.watching.contains(user))
            .collect();
        new.sort_unstable();
        new.dedup();
        if state.watching.len() + new.len() > limit {
            return None;
        }
        state.watching.extend(&new);
        Some(new)
    }

    /// Forgets users whose presence it showed; those it did show.
    pub(super) fn unwatch(&self, users: &[UserId]) -> Vec<UserId> {
        let mut state = self.state.lock();
        users
            .iter()
            .copied()
            .filter(|user| state.watching.remove(user))
            .collect()
    }

    /// Forgets all users whose presence it showed; whose that was.
    pub(super) fn unwatch_all(&self) -> Vec<UserId> {
        self.state.lock().watching.drain().collect()
    }
}

impl Paced for Session {
    fn mark_if_due(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let is_closed = self.is_closed();
        if !is_closed && state.mark_is_due(now, MARK_EVERY + MARK_WAITS) {
            let mark = self.outbox.mark();
            state.mark(mark, now);
        }
        state.is_paced = !is_closed && state.receipts.has_unmarked();
        state.is_paced
    }
}
