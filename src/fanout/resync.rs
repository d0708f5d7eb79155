//! What the sessions here may have missed is looked for after any doubt, and now and then without one (D16): topics are
//! compared with the log, and users with their memberships. Fills no gap; what is behind is reported.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catch_up::CatchUp;
use super::offering::Offering;
use super::presence::Board;
use super::tasks::Tasks;
use super::topics::Topics;
use super::users::Users;
use crate::bus::Bus;
use crate::domain::{Member, UserId};
use crate::metrics::Metrics;
use crate::store::{Store, all_memberships};

/// How many conversations' heads are asked for at once.
const CHUNK: usize = 200;
/// How many users' memberships are read at once.
const READS: usize = 16;
/// How many users are asked about at a time while the bus is away: what a stranger writes is found within seconds where
/// that many are, later where there are more, and the store is not asked a hundred times a second for nothing.
const PORTION: usize = 500;
/// The longest random wait before a resync, so that all gateways do not ask at once.
const JITTER: Duration = Duration::from_millis(300);

pub(super) struct Resync {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    topics: Arc<Topics>,
    users: Arc<Users>,
    catch_up: Arc<CatchUp>,
    offering: Arc<Offering>,
    board: Arc<Board>,
    tasks: Tasks,
    metrics: Metrics,
    /// Something may have been lost: wakes the one task that resyncs.
    wanted: Notify,
    /// Wakes the same task to compare topics with the log only.
    compare_wanted: Notify,
}

/// Who has to do with a resync: what is compared, and who is told of what is missing.
pub(super) struct ResyncParts {
    pub(super) topics: Arc<Topics>,
    pub(super) users: Arc<Users>,
    pub(super) catch_up: Arc<CatchUp>,
    pub(super) offering: Arc<Offering>,
    pub(super) board: Arc<Board>,
}

impl Resync {
    pub(super) fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        parts: ResyncParts,
        tasks: Tasks,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            bus,
            topics: parts.topics,
            users: parts.users,
            catch_up: parts.catch_up,
            offering: parts.offering,
            board: parts.board,
            tasks,
            metrics,
            wanted: Notify::new(),
            compare_wanted: Notify::new(),
        }
    }

    /// Something may have been lost: what the local sessions may have missed is read again soon (D16). Doubts that come
    /// before that begins are settled by it too.
    pub(super) fn doubt(&self, doubt: &'static str) {
        tracing::info!(doubt, "resync");
        self.metrics.resync(doubt);
        self.wanted.notify_one();
        self.board.doubt_all();
    }

    /// Topics are compared with the log soon, though nothing speaks for a loss.
    pub(super) fn compare(&self) {
        self.metrics.resync("periodic");
        self.compare_wanted.notify_one();
    }

    /// MongoDB has a new primary: once it takes majority writes, everything is compared with its log (D16).
    pub(super) async fn primary_changed(&self) {
        if self.tasks.until_read(|| self.store.ping()).await.is_some() {
            self.doubt("primary_changed");
        }
    }

    /// Looks when it is asked to, until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            let mut asked = None;
            loop {
                tokio::select! {
                    () = self.wanted.notified() => self.resync_now().await,
                    () = self.compare_wanted.notified() => asked = self.compare_now(asked).await,
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn resync_now(&self) {
        let begun = Instant::now();
        tokio::time::sleep(self.tasks.jitter(JITTER)).await;
        self.finish_for_others().await;
        self.compare_heads().await;
        self.find_memberships(self.users.here()).await;
        self.metrics.resync_seconds.record(begun.elapsed());
    }

    /// Compares topics with the log, whatever was heard; and while nothing is, looks for conversations that are new to
    /// some of the users here, those behind `asked`. Returns the last of them, or none when they were the last of all.
    async fn compare_now(&self, asked: Option<UserId>) -> Option<UserId> {
        self.finish_for_others().await;
        self.compare_heads().await;
        if self.bus.health().is_ok() {
            return None;
        }
        let users = self.users.after(asked, PORTION);
        let last = users.last().copied().filter(|_| users.len() == PORTION);
        self.find_memberships(users).await;
        last
    }

    /// A gateway that died may have stored events without what follows from them: whom it has made a member is found only
    /// when that is written (D56). Whoever comes first writes it; mostly there is nothing.
    async fn finish_for_others(&self) {
        let finish = || self.store.project_leftovers(None);
        self.tasks.until_read(finish).await;
    }

    /// Finds topics behind the log.
    async fn compare_heads(&self) {
        for chunk in self.topics.in_use().chunks(CHUNK) {
            let heads = self.tasks.until_read(|| self.store.heads(chunk)).await;
            for (conversation, head) in heads.into_iter().flatten() {
                self.offering.hear_head(conversation, head);
            }
        }
    }

    /// Finds conversations of these users that their sessions here do not know yet.
    async fn find_memberships(&self, users: Vec<UserId>) {
        let reads = stream::iter(users).map(|user| async move {
            let read = || all_memberships(&*self.store, user);
            let members = self.tasks.until_read(read).await;
            for member in members.into_iter().flatten().filter(Member::is_active) {
                self.catch_up.discover(member.conversation, user);
            }
        });
        reads.buffer_unordered(READS).collect::<()>().await;
    }
}
