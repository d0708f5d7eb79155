//! HTTP long-polling: a GET waits for packets, a POST brings some. Knows nothing of the handler: a body is handed to
//! the session's task.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use super::body::Bodies;
use super::packet;
use super::payload::Payload;
use super::poller::{Poller, Previous};
use super::request::RequestRefusal;
use super::session::{EngineSession, Post, SessionState, Stage};
use crate::transport::outbox::Reason;

/// Answers a poll: waits until there is something to say.
pub(super) async fn poll(
    session: Arc<EngineSession>,
    timestamp: Option<String>,
) -> Result<Response, RequestRefusal> {
    // Exact to the moment, however late the shared timer is.
    session.outbox().beat(Instant::now());
    let mut turn = RequestGuard::poll(session, timestamp)?;
    let session = Arc::clone(&turn.session);
    loop {
        consume_budget().await;
        let signal = session.outbox().write_signal();
        tokio::pin!(signal);
        signal.as_mut().enable();
        match answer(&session, turn.stage) {
            PollOutcome::Body(body) => {
                turn.complete = true;
                return Ok(text(body));
            }
            PollOutcome::Refused => {
                turn.complete = true;
                return Err(RequestRefusal::BadRequest);
            }
            PollOutcome::Wait => signal.await,
            PollOutcome::WaitUntil(moment) => {
                let _ = timeout_at(moment, signal).await;
            }
        }
    }
}

/// What a poll is answered.
enum PollOutcome {
    Body(String),
    Refused,
    Wait,
    WaitUntil(Instant),
}

/// Handles a body of packets; the answer comes when the application has handled them all.
pub(super) async fn post(
    session: Arc<EngineSession>,
    bodies: &Bodies,
    body: Body,
) -> Result<Response, RequestRefusal> {
    session.outbox().beat(Instant::now());
    let mut turn = RequestGuard::post(session)?;
    let session = Arc::clone(&turn.session);
    let body = bodies.read(&session, body).await.inspect_err(|refusal| {
        if *refusal == RequestRefusal::TooLarge {
            session.outbox().close(Reason::TooLarge);
        }
    })?;
    let accepted = hand_over(&session, body.bytes.clone())?
        .await
        .unwrap_or(false);
    turn.complete = true;
    if accepted {
        Ok(text("ok".to_owned()))
    } else {
        Err(RequestRefusal::BadRequest)
    }
}

/// Leaves a body for the session's task. Checked under the state's lock: after the session's end, or on its WebSocket,
/// nobody would take it.
fn hand_over(
    session: &EngineSession,
    body: Bytes,
) -> Result<oneshot::Receiver<bool>, RequestRefusal> {
    let (done, outcome) = oneshot::channel();
    let mut state = session.state.lock();
    check_alive(session, &state)?;
    if session.outbox().is_closed() {
        return Err(RequestRefusal::SessionUnknown);
    }
    state.post = Some(Post { body, done });
    drop(state);
    session.outbox().wake_session();
    Ok(outcome)
}

/// The right to be the only poll, or the only post, of a session. A request given up half-way ends the session:
/// what it carried, in either direction, may be lost.
struct RequestGuard {
    session: Arc<EngineSession>,
    is_poll: bool,
    /// The session's stage when the request came.
    stage: Stage,
    complete: bool,
}

impl RequestGuard {
    fn poll(
        session: Arc<EngineSession>,
        timestamp: Option<String>,
    ) -> Result<Self, RequestRefusal> {
        let mut state = session.state.lock();
        check_alive(&session, &state)?;
        if state.told {
            return Err(RequestRefusal::SessionUnknown);
        }
        let previous = state.poller.poll(timestamp);
        let fault = match previous {
            Previous::Lost => Some(Reason::TransportError),
            _ if state.polling => Some(Reason::ProtocolError),
            Previous::Arrived | Previous::Unknown => None,
        };
        if let Some(reason) = fault {
            drop(state);
            session.outbox().close(reason);
            return Err(RequestRefusal::BadRequest);
        }
        state.polling = true;
        let stage = state.stage;
        drop(state);
        if previous == Previous::Arrived {
            session.outbox().prove_taken();
        }
        Ok(Self {
            session,
            is_poll: true,
            stage,
            complete: false,
        })
    }

    fn post(session: Arc<EngineSession>) -> Result<Self, RequestRefusal> {
        let mut state = session.state.lock();
        check_alive(&session, &state)?;
        if session.outbox().is_closed() {
            return Err(RequestRefusal::SessionUnknown);
        }
        if state.posting {
            drop(state);
            session.outbox().close(Reason::ProtocolError);
            return Err(RequestRefusal::BadRequest);
        }
        state.posting = true;
        let stage = state.stage;
        drop(state);
        Ok(Self {
            session,
            is_poll: false,
            stage,
            complete: false,
        })
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        if self.is_poll {
            state.polling = false;
        } else {
            state.posting = false;
        }
        drop(state);
        if !self.complete {
            self.session.outbox().close(Reason::TransportClosed);
        }
    }
}

fn check_alive(session: &EngineSession, state: &SessionState) -> Result<(), RequestRefusal> {
    match session.outbox().reason() {
        Some(reason) if !reason.is_graceful() && !state.goodbye => {
            Err(RequestRefusal::SessionUnknown)
        }
        _ if state.stage == Stage::WebSocket => Err(RequestRefusal::BadRequest),
        _ => Ok(()),
    }
}

/// Looks for an answer. Decided under the state's lock, so that nothing is taken for a poll once the session is on its
/// WebSocket. `arrived` is the stage at which the poll came.
fn answer(session: &EngineSession, arrived: Stage) -> PollOutcome {
    let mut state = session.state.lock();
    if state.stage == Stage::WebSocket {
        // Overtaken by the upgrade: an older poll is released, one that came beside the WebSocket is refused.
        return match arrived {
            Stage::Polling => PollOutcome::Body(packet::NOOP.to_owned()),
            _ => PollOutcome::Refused,
        };
    }
    let mut payload = take(session, &state.poller);
    match session.outbox().reason() {
        Some(_) if session.outbox().queued_bytes() == 0 => state.tell(session, &mut payload),
        Some(_) => {}
        None if !payload.is_empty() => {}
        None => match state.stage {
            Stage::Probed { release_from, .. } if release_from > Instant::now() => {
                return PollOutcome::WaitUntil(release_from);
            }
            Stage::Probed { .. } => payload.packet(packet::NOOP),
            _ => return PollOutcome::Wait,
        },
    }
    PollOutcome::Body(payload.into_body())
}

impl SessionState {
    /// The last packet of the session. Its poll is merely released, and the next one is told that there is no such
    /// session: after that every client comes back. A close packet is to python-engineio the end for good.
    fn tell(&mut self, session: &EngineSession, payload: &mut Payload) {
        payload.packet(packet::NOOP);
        self.told = true;
        session.outbox().wake_session();
    }
}

/// What waits in the outbox, as a payload.
fn take(session: &EngineSession, poller: &Poller) -> Payload {
    let mut payload = Payload::default();
    let (max_bytes, max_frames) = (session.config.max_payload, poller.most_frames());
    let taken = session
        .outbox()
        .try_take_few(max_bytes, max_frames, poller.pings());
    let Some(batch) = taken else {
        return payload;
    };
    let bytes_out = &session.config.metrics.bytes_out.socketio;
    bytes_out.increment(batch.bytes());
    for frame in &batch.frames {
        payload.frame(frame);
    }
    if !batch.frames.is_empty() {
        session.note_taken();
    }
    if batch.ping {
        payload.packet(packet::PING);
    }
    payload
}

/// An answer in the protocol's media type, never cached.
pub(super) fn text(body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=UTF-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}
