//! Whom a thread serves right now, so that a line it logs meanwhile says so: a request by its id, or a session by its own.
//! A value beside the work rather than a span of `tracing`: one costs some hundred bytes per idle session and is not there
//! when the filter is above its level; this costs two moves whenever a task is polled.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;

use crate::domain::SessionId;

/// Whom.
#[derive(Debug, Clone, Default)]
pub enum Served {
    /// Nobody in particular.
    #[default]
    Nobody,
    /// The request with this id.
    Request(Arc<str>),
    /// This session.
    Session(SessionId),
}

impl Served {
    /// What a log line calls it, and its id; none for nobody.
    pub(super) fn field(&self) -> Option<(&'static str, &dyn fmt::Display)> {
        match self {
            Self::Nobody => None,
            Self::Request(id) => Some(("request_id", id)),
            Self::Session(id) => Some(("session_id", id)),
        }
    }
}

thread_local! {
    static SERVED: Cell<Served> = const { Cell::new(Served::Nobody) };
}

pin_project! {
    /// Work for somebody.
    #[derive(Debug)]
    pub struct Serving<Work> {
        whom: Served,
        #[pin]
        work: Work,
    }
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
    SERVED.set(whom);
}

/// Whom this thread serves now.
#[must_use]
pub fn current() -> Served {
    let whom = SERVED.take();
    SERVED.set(whom.clone());
    whom
}

/// Puts back whom the thread served before, after a panic as well.
struct Before(Served);

impl Drop for Before {
    fn drop(&mut self) {
        SERVED.set(std::mem::take(&mut self.0));
    }
}

impl<Work: Future> Future for Serving<Work> {
    type Output = Work::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let before = Before(SERVED.replace(std::mem::take(this.whom)));
        let polled = this.work.poll(context);
        *this.whom = SERVED.take();
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
