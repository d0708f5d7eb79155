//! Answers requests when it is time: at once, or when what was asked for is done. Knows no protocol; each says how it
//! writes an answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::answer::Answer;
use crate::domain::{ConversationId, Seq};
use crate::fanout::hub::{Backlog, Hub};
use crate::fanout::session::{Expectation, Session};
use crate::logging::served;

/// How many requests of one connection may wait for their answers; the next is not read until one is answered.
const IN_FLIGHT: usize = 256;

/// A request taken up, in its order; the answer may come later than that of the next one.
pub enum Reply {
    /// The answer is here.
    Now(Answer),
    /// The answer to a join; once it is written, delivery begins.
    Joined(Answer, Backlog),
    /// It is answered when this is done.
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// A message is being sent, and the request is answered when it is stored.
    Sent(Pin<Box<dyn Future<Output = Sent> + Send>>),
}

/// The answer to a send.
#[derive(Debug)]
pub struct Sent {
    pub(super) answer: Answer,
    /// Where the message is stored, if it is.
    pub(super) place: Option<(ConversationId, Seq)>,
    /// Of a direct message: the session does not get it besides its answer.
    pub(super) expectation: Option<Expectation>,
}

impl Sent {
    /// Once it is written, the answer counts as the message's delivery to the session (D29).
    fn write(self, write: impl FnOnce(Answer)) {
        write(self.answer);
        if let (Some(expectation), Some((conversation, seq))) = (self.expectation, self.place) {
            expectation.answered(conversation, seq);
        }
    }
}

/// Answers the requests of one connection.
#[derive(Debug)]
pub struct Responder {
    hub: Arc<Hub>,
    in_flight: Arc<Semaphore>,
}

impl Responder {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        Self { hub, in_flight }
    }

    /// Writes the answer to a request of this session, now or later. Returns when the connection's next request may be
    /// read.
    pub async fn answer(
        &self,
        session: &Arc<Session>,
        reply: Reply,
        write: impl FnOnce(Answer) + Send + 'static,
    ) {
        match reply {
            Reply::Now(answer) => write(answer),
            Reply::Joined(answer, backlog) => {
                write(answer);
                self.hub.deliver(session, backlog);
            }
            Reply::Later(work) => {
                let later = async move { write(work.await) };
                self.spawn(session, later).await;
            }
            Reply::Sent(work) => {
                let later = async move { work.await.write(write) };
                self.spawn(session, later).await;
            }
        }
    }

    /// Runs what answers later; waits first while too many do.
    async fn spawn(&self, session: &Arc<Session>, work: impl Future<Output = ()> + Send + 'static) {
        let unanswered = session.take_request();
        let permit = Arc::clone(&self.in_flight).acquire_owned().await;
        served::spawn(async move {
            work.await;
            drop((permit, unanswered));
        });
    }
}
