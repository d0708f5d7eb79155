//! Moves members' cursors forward: coalesced, flushed about once a second, and at once for whoever waits (D31). Knows
//! the store and the announcer; the caller has clamped what it says (D27).

mod member_cursors;
mod notices;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{AnnounceCursors, ChatError};
use crate::domain::{ConversationId, Seq, UserId};
use crate::metrics::Metrics;
use crate::store::{CursorMove, Store};
use member_cursors::MemberCursors;
use notices::Notices;

/// How long moves that nobody waits for are collected.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The most moves in one command.
const BATCH: usize = 1000;
/// The most (conversation, user) pairs that wait for a flush; beyond it a proof of receipt is dropped, and what it
/// proved comes again after a reconnect.
const WAITING: usize = 200_000;
/// The most callers that wait for a flush; beyond it they are refused as busy.
const CALLERS: usize = 10_000;

type StoredReply = oneshot::Sender<Result<(), ChatError>>;

/// The moves of members' cursors that wait to be stored.
pub struct Cursors {
    store: Arc<dyn Store>,
    notices: Notices,
    metrics: Metrics,
    state: Mutex<State>,
    wake: Notify,
    flushed: Notify,
}

#[derive(Default)]
struct State {
    moves: HashMap<(ConversationId, UserId), MemberCursors>,
    waiters: Vec<StoredReply>,
    in_flight: bool,
    /// How many flushes have ended.
    flushes: u64,
}

impl Cursors {
    /// Cursors kept in this store; moves are announced once stored.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        announce: Arc<dyn AnnounceCursors>,
        metrics: Metrics,
    ) -> Self {
        Self {
            notices: Notices::new(Arc::clone(&store), announce),
            store,
            metrics,
            state: Mutex::default(),
            wake: Notify::new(),
            flushed: Notify::new(),
        }
    }

    /// A user was proved to have received everything up to here. Stored within about a second.
    pub fn delivered(&self, conversation: ConversationId, user: UserId, seq: Seq) {
        let mut state = self.state.lock();
        let is_known = state.moves.contains_key(&(conversation, user));
        if is_known || state.moves.len() < WAITING {
            state.advance(
                conversation,
                user,
                MemberCursors {
                    delivered: seq,
                    read: Seq::ZERO,
                },
            );
        }
    }

    /// A user acknowledged (or, `read`, has read) everything up to here. Returns once it is stored.
    ///
    /// # Errors
    /// [`ChatError::Unavailable`] when the store is away; the move is tried again all the same.
    pub async fn acknowledge(
        &self,
        conversation: ConversationId,
        user: UserId,
        seq: Seq,
        read: bool,
    ) -> Result<(), ChatError> {
        let (answer, stored) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if state.waiters.len() >= CALLERS {
                return Err(ChatError::Busy);
            }
            let read = if read { seq } else { Seq::ZERO };
            state.advance(
                conversation,
                user,
                MemberCursors {
                    delivered: seq,
                    read,
                },
            );
            state.waiters.push(answer);
        }
        self.wake.notify_one();
        stored.await.unwrap_or(Err(ChatError::Unavailable))
    }

    /// Stores soon what is known now, without waiting: a session has ended.
    pub fn hurry(&self) {
        self.wake.notify_one();
    }

    /// Resolves when everything known at the call is stored, or the store refused it once.
    pub async fn settle(&self) {
        let goal = {
            let state = self.state.lock();
            // What is in flight was taken before the call; what waits goes with the flush after it.
            state.flushes + u64::from(state.in_flight) + u64::from(!state.moves.is_empty())
        };
        loop {
            let flushed = self.flushed.notified();
            if self.state.lock().flushes >= goal {
                return;
            }
            self.wake.notify_one();
            flushed.await;
        }
    }

    /// Flushes until `stop`, and once more then.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.flush_until(stop.clone()), self.notices.run(stop));
    }

    async fn flush_until(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let woken = tokio::time::timeout(FLUSH_EVERY, self.wake.notified());
            let _ = stop.run_until_cancelled(woken).await;
            self.flush().await;
        }
        self.flush().await;
    }

    async fn flush(&self) {
        let (moves, waiters) = {
            let mut state = self.state.lock();
            state.in_flight = true;
            (
                std::mem::take(&mut state.moves),
                std::mem::take(&mut state.waiters),
            )
        };
        let moves: Vec<CursorMove> = moves
            .into_iter()
            .map(|(key, places)| cursor_move(key, places))
            .collect();
        let mut result = Ok(());
        for batch in moves.chunks(BATCH) {
            match self.store.move_cursors(batch).await {
                Ok(()) => {
                    self.metrics.cursor_moves.increment(batch.len() as u64);
                    self.notices.stored(batch);
                }
                Err(error) => {
                    self.put_back(batch);
                    result = Err(ChatError::from(error));
                }
            }
        }
        {
            let mut state = self.state.lock();
            state.in_flight = false;
            state.flushes += 1;
        }
        for waiter in waiters {
            let _ = waiter.send(result.clone());
        }
        self.flushed.notify_waiters();
        if result.is_err() {
            tokio::time::sleep(FLUSH_EVERY).await;
        }
    }

    fn put_back(&self, moves: &[CursorMove]) {
        let mut state = self.state.lock();
        for CursorMove {
            conversation,
            user,
            delivered,
            read,
        } in moves
        {
            state.advance(
                *conversation,
                *user,
                MemberCursors {
                    delivered: *delivered,
                    read: *read,
                },
            );
        }
    }
}

impl State {
    fn advance(&mut self, conversation: ConversationId, user: UserId, places: MemberCursors) {
        self.moves
            .entry((conversation, user))
            .or_default()
            .advance(places);
    }
}

fn cursor_move(
    (conversation, user): (ConversationId, UserId),
    places: MemberCursors,
) -> CursorMove {
    CursorMove {
        conversation,
        user,
        delivered: places.delivered,
        read: places.read,
    }
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursors")
            .field("waiting", &self.state.lock().moves.len())
            .finish_non_exhaustive()
    }
}
