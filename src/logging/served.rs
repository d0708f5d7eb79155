//! Whom a thread serves right now, so that a line it logs meanwhile says so: a request by its id, or a session by its own.
//! The same says to the watchdog whose work does not yield.
//!
//! A value beside the work rather than a span of `tracing`: one costs some hundred bytes per idle session and is not there
//! when the filter is above its level; this costs two moves whenever a task is polled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;

use crate::domain::SessionId;

/// For whom a thread works, as far as it is known.
#[derive(Debug, Clone, Default)]
pub enum Served {
    /// Nobody in particular.
    #[default]
    Nobody,
    /// The request with this id.
    Request(Arc<str>),
    /// The session with this id.
    Session(SessionId),
    /// All clients: a task of the gateway itself.
    Task(&'static str),
}

impl Served {
    /// What a log line calls it, and its id; none for nobody.
    pub(crate) fn field(&self) -> Option<(&'static str, &dyn fmt::Display)> {
        match self {
            Self::Nobody => None,
            Self::Request(id) => Some(("request_id", id)),
            Self::Session(id) => Some(("session_id", id)),
            Self::Task(name) => Some(("task", name)),
        }
    }
}

/// What one thread does, for the watchdog too: a thread that is stuck cannot be asked.
#[derive(Debug, Default)]
struct Thread {
    whom: Mutex<Served>,
    /// How many works it is in, one inside the other.
    depth: AtomicUsize,
    /// Counted up whenever it begins or leaves off a work.
    turns: AtomicU64,
}

/// Every thread that serves, while it lives.
static THREADS: Mutex<Vec<Weak<Thread>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: Arc<Thread> = Thread::begin();
}

impl Thread {
    fn begin() -> Arc<Self> {
        let here = Arc::default();
        THREADS.lock().push(Arc::downgrade(&here));
        here
    }

    fn enter(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.depth.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a thread is doing at this moment.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Which thread and which of its turns: the same pair as before, and it has not left off since.
    pub(crate) number: (usize, u64),
    /// Whom it serves.
    pub(crate) whom: Served,
}

/// The turns that are going on right now.
pub(crate) fn turns() -> Vec<Turn> {
    let mut threads = THREADS.lock();
    threads.retain(|thread| thread.strong_count() > 0);
    let living = threads.iter().filter_map(Weak::upgrade);
    let busy = living.filter(|thread| thread.depth.load(Ordering::Relaxed) > 0);
    busy.map(|thread| Turn {
        number: (
            Arc::as_ptr(&thread).addr(),
            thread.turns.load(Ordering::Relaxed),
        ),
        whom: thread.whom.lock().clone(),
    })
    .collect()
}

/// Exchanges whom this thread serves. A thread that is ending serves nobody.
fn replace(whom: Served) -> Served {
    let replaced = HERE.try_with(|here| std::mem::replace(&mut *here.whom.lock(), whom));
    replaced.unwrap_or_default()
}

pin_project! {
    /// A future that is polled on somebody's account.
    #[derive(Debug)]
    pub struct Serving<Work> {
        whom: Served,
        #[pin]
        work: Work,
    }
}

/// Spawns a task of the gateway itself, which serves all clients.
pub fn spawn_task<Work>(name: &'static str, work: Work) -> JoinHandle<Work::Output>
where
    Work: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(task(name, work))
}

/// Work of the gateway itself, which serves all clients.
pub const fn task<Work>(name: &'static str, work: Work) -> Serving<Work> {
    serving(Served::Task(name), work)
}

/// Work, whose log lines say for whom it is.
pub const fn serving<Work>(whom: Served, work: Work) -> Serving<Work> {
    Serving { whom, work }
}

/// Spawns work for whom this thread serves now.
pub fn spawn<Work>(work: Work) -> JoinHandle<Work::Output>
where
    Work: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(serving(current(), work))
}

/// From now on the work that calls this is for somebody else: it has found out for whom it is.
pub fn now_serving(whom: Served) {
    drop(replace(whom));
}

/// Whom this thread serves now.
#[must_use]
pub fn current() -> Served {
    let whom = HERE.try_with(|here| here.whom.lock().clone());
    whom.unwrap_or_default()
}

/// Puts back whom the thread served before, after a panic as well.
struct Before(Served);

impl Drop for Before {
    fn drop(&mut self) {
        drop(replace(std::mem::take(&mut self.0)));
        let _ending = HERE.try_with(|here| here.leave());
    }
}

impl<Work: Future> Future for Serving<Work> {
    type Output = Work::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _ending = HERE.try_with(|here| here.enter());
        let before = Before(replace(std::mem::take(this.whom)));
        let polled = this.work.poll(context);
        *this.whom = replace(Served::Nobody);
        drop(before);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Option<String> {
        current().field().map(|(name, id)| format!("{name} {id}"))
    }

    fn request(id: &str) -> Served {
        Served::Request(id.into())
    }

    #[tokio::test]
    async fn work_keeps_whom_it_serves_across_its_waits_and_hands_it_on() {
        let other = serving(request("b"), async {
            tokio::task::yield_now().await;
            name()
        });
        let work = serving(request("a"), async {
            let first = name();
            assert_eq!(other.await.as_deref(), Some("request_id b"));
            tokio::task::yield_now().await;
            assert_eq!(name(), first);
            assert_eq!(spawn(async { name() }).await.unwrap(), first);
            now_serving(request("c"));
            tokio::task::yield_now().await;
            (first, name())
        });
        let (first, last) = work.await;
        assert_eq!(first.as_deref(), Some("request_id a"));
        assert_eq!(last.as_deref(), Some("request_id c"));
        assert_eq!(name(), None);
    }

    #[tokio::test]
    async fn a_panic_leaves_the_thread_to_others() {
        let work = serving(request("a"), async { panic!("on purpose") });
        assert!(tokio::spawn(work).await.is_err());
        assert_eq!(name(), None);
        assert_eq!(tokio::spawn(async { name() }).await.unwrap(), None);
    }
}
