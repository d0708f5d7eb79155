//! A session's task: calls its handler until it ends, while the session polls and then on its WebSocket. Knows nothing
//! of HTTP.

use std::sync::Arc;

use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::payload::{PartError, PayloadPart, decode};
use super::session::{EngineSession, Post};
use super::{EngineHandler, EngineMessage, websocket};
use crate::transport::outbox::Reason;
use crate::transport::websocket::WebSocket;

/// The session's task: calls the handler until the session ends.
pub(super) async fn run(
    session: Arc<EngineSession>,
    mut handler: Box<dyn EngineHandler>,
    socket: Option<WebSocket>,
) {
    let socket = match socket {
        Some(socket) => Some(socket),
        None => poll_until_upgrade(&session, handler.as_mut()).await,
    };
    match socket {
        Some(socket) => websocket::run(&session, handler.as_mut(), socket).await,
        None => say_farewell(&session, handler.as_mut()).await,
    }
}

/// Serves the session while it polls; `None` when it ended that way.
async fn poll_until_upgrade(
    session: &EngineSession,
    handler: &mut dyn EngineHandler,
) -> Option<WebSocket> {
    loop {
        session.news().await;
        session.tell(handler);
        if session.outbox().is_closed() {
            return None;
        }
        let (post, upgraded) = session.state.lock().take_news();
        if let Some(post) = post {
            handle_post(session, handler, post).await;
        } else if upgraded.is_some() {
            return upgraded;
        }
    }
}

async fn handle_post(session: &EngineSession, handler: &mut dyn EngineHandler, post: Post) {
    let metrics = &session.config.metrics;
    metrics.bytes_in.socketio.increment(post.body.len() as u64);
    match std::str::from_utf8(&post.body) {
        Ok(body) => handle_parts(session, handler, body).await,
        Err(_) => session.outbox().close(Reason::InvalidUtf8),
    }
    let accepted = matches!(
        session.outbox().reason(),
        None | Some(Reason::TransportClosed | Reason::ServerClosed | Reason::Draining)
    );
    // The request may have been given up; then nobody waits for the outcome.
    let _ = post.done.send(accepted);
}

async fn handle_parts(session: &EngineSession, handler: &mut dyn EngineHandler, body: &str) {
    for part in decode(body, session.config.max_payload) {
        consume_budget().await;
        match part {
            Err(PartError::TooLarge) => session.outbox().close(Reason::TooLarge),
            Ok(PayloadPart::Binary(bytes)) => {
                session
                    .deliver(handler, EngineMessage::Binary(&bytes))
                    .await
            }
            Ok(PayloadPart::Text(packet)) => session.packet(handler, Ok(packet)).await,
            Err(PartError::Invalid(invalid)) => session.packet(handler, Err(invalid)).await,
        }
        if session.outbox().is_closed() {
            return;
        }
    }
}

/// The end of a polling session: a graceful one waits a little for the poll that carries the rest away, or is released.
async fn say_farewell(session: &EngineSession, handler: &mut dyn EngineHandler) {
    let reason = session.outbox().closed().await;
    handler.closed(reason).await;
    let goodbye = {
        let mut state = session.state.lock();
        state.drop_news();
        state.goodbye
    };
    if goodbye || reason.is_graceful() {
        let _ = timeout(session.config.farewell, told(session)).await;
    }
}

async fn told(session: &EngineSession) {
    loop {
        consume_budget().await;
        let signal = session.outbox().session_signal();
        tokio::pin!(signal);
        signal.as_mut().enable();
        if session.state.lock().told {
            return;
        }
        signal.await;
    }
}
