//! HTTP long-polling: a GET waits for packets, a POST brings some. Knows nothing of the handler: a body is handed to
//! the session's task.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::packet;
use super::payload::Payload;
use super::request::Refusal;
use super::session::{Post, Session, Stage};
use crate::gateway::outbox::{Pings, Reason};

/// Answers a poll: waits until there is something to say.
pub(super) async fn poll(
    session: Arc<Session>,
    timestamp: Option<String>,
) -> Result<Response, Refusal> {
    // Exact to the moment, however late the shared timer is.
    session.outbox().beat(Instant::now());
    let mut turn = Turn::poll(session, timestamp)?;
    let session = Arc::clone(&turn.session);
    loop {
        let signal = session.outbox().write_signal();
        tokio::pin!(signal);
        signal.as_mut().enable();
        if let Some(body) = answer(&session) {
            turn.complete = true;
            return Ok(text(body));
        }
        signal.await;
    }
}

/// Handles a body of packets; the answer comes when the application has handled them all.
pub(super) async fn post(session: Arc<Session>, body: Body) -> Result<Response, Refusal> {
    session.outbox().beat(Instant::now());
    let mut turn = Turn::post(session)?;
    let session = Arc::clone(&turn.session);
    let body = read(&session, body).await.inspect_err(|refusal| {
        if *refusal == Refusal::TooLarge {
            session.outbox().close(Reason::TooLarge);
        }
    })?;
    let accepted = hand_over(&session, body)?.await.unwrap_or(false);
    turn.complete = true;
    if accepted {
        Ok(text("ok".to_owned()))
    } else {
        Err(Refusal::BadRequest)
    }
}

/// Leaves a body for the session's task. Checked under the link's lock: after the session's end, or on its WebSocket,
/// nobody would take it.
fn hand_over(session: &Session, body: Bytes) -> Result<oneshot::Receiver<bool>, Refusal> {
    let (done, outcome) = oneshot::channel();
    let mut link = session.link.lock();
    check_stage(session, link.stage)?;
    if session.outbox().is_closed() {
        return Err(Refusal::SessionUnknown);
    }
    link.post = Some(Post { body, done });
    drop(link);
    session.outbox().wake_session();
    Ok(outcome)
}

/// The right to be the only poll, or the only post, of a session. A request given up half-way ends the session:
/// what it carried, in either direction, may be lost.
struct Turn {
    session: Arc<Session>,
    is_poll: bool,
    complete: bool,
}

impl Turn {
    fn poll(session: Arc<Session>, timestamp: Option<String>) -> Result<Self, Refusal> {
        let mut link = session.link.lock();
        check_stage(&session, link.stage)?;
        let timestamp = timestamp.map(String::into_boxed_str);
        // The same poll again: the answer to the first, and what was in it, never arrived.
        let is_repeated = timestamp.is_some() && link.last_poll == timestamp;
        if link.polling || is_repeated || link.told {
            drop(link);
            session.outbox().close(if is_repeated {
                Reason::TransportError
            } else {
                Reason::ProtocolError
            });
            return Err(Refusal::BadRequest);
        }
        link.polling = true;
        link.last_poll = timestamp;
        drop(link);
        session.outbox().prove_taken();
        Ok(Self {
            session,
            is_poll: true,
            complete: false,
        })
    }

    fn post(session: Arc<Session>) -> Result<Self, Refusal> {
        let mut link = session.link.lock();
        check_stage(&session, link.stage)?;
        if session.outbox().is_closed() {
            return Err(Refusal::SessionUnknown);
        }
        if link.posting {
            drop(link);
            session.outbox().close(Reason::ProtocolError);
            return Err(Refusal::BadRequest);
        }
        link.posting = true;
        drop(link);
        Ok(Self {
            session,
            is_poll: false,
            complete: false,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut link = self.session.link.lock();
        if self.is_poll {
            link.polling = false;
        } else {
            link.posting = false;
        }
        drop(link);
        if !self.complete {
            self.session.outbox().close(Reason::TransportClosed);
        }
    }
}

fn check_stage(session: &Session, stage: Stage) -> Result<(), Refusal> {
    match session.outbox().reason() {
        Some(reason) if !reason.is_graceful() => Err(Refusal::SessionUnknown),
        _ if stage == Stage::WebSocket => Err(Refusal::BadRequest),
        _ => Ok(()),
    }
}

/// What a poll is answered now, if anything. Decided under the link's lock, so that nothing is taken for a poll once
/// the session is on its WebSocket.
fn answer(session: &Session) -> Option<String> {
    let mut link = session.link.lock();
    if link.stage == Stage::WebSocket {
        return Some(packet::NOOP.to_owned());
    }
    let mut payload = Payload::default();
    let batch = session
        .outbox()
        .try_take(session.config.max_payload, Pings::HeartbeatOnly);
    let is_empty = batch.is_none();
    for frame in batch.iter().flat_map(|batch| &batch.frames) {
        payload.frame(frame);
    }
    if batch.is_some_and(|batch| batch.ping) {
        payload.packet(packet::PING);
    }
    match session.outbox().reason() {
        // The client asked for the end itself: its poll is merely released.
        Some(Reason::TransportClosed) => payload.packet(packet::NOOP),
        Some(_) if session.outbox().queued_bytes() == 0 => {
            payload.packet(packet::CLOSE);
            link.told = true;
            session.outbox().wake_session();
        }
        Some(_) => {}
        None if is_empty && link.stage == Stage::Probed => payload.packet(packet::NOOP),
        None if is_empty => return None,
        None => {}
    }
    Some(payload.into_body())
}

async fn read(session: &Session, body: Body) -> Result<Bytes, Refusal> {
    let limited = Limited::new(body, session.config.max_payload);
    let whole = tokio::select! {
        // A body that trickles in holds its place no longer than the session lives.
        _ = session.outbox().closed() => return Err(Refusal::SessionUnknown),
        whole = limited.collect() => whole,
    };
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::BadRequest),
    }
}

/// An answer in the protocol's media type, never cached.
pub(super) fn text(body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=UTF-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}
