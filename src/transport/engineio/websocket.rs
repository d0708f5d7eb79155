//! A session on its WebSocket: its task reads, the flusher writes. Knows nothing of polling.

use tokio::task::coop::consume_budget;
use tungstenite::Message as WsMessage;

use super::packet::{self, EnginePacket};
use super::session::EngineSession;
use super::{EngineConfig, EngineHandler, EngineMessage};
use crate::transport::outbox::Reason;
use crate::transport::websocket::{Ping, WebSocket, WebSocketBounds, reason_of};

/// Bytes read at a time. The library's default of 128 KiB per connection is what ten thousand idle ones cannot afford.
const READ_BUFFER: usize = 2 * 1024;

/// The small buffers and the bounds of a session's socket.
pub(super) const fn bounds(config: &EngineConfig) -> WebSocketBounds {
    WebSocketBounds {
        message: config.max_payload,
        read_buffer: READ_BUFFER,
    }
}

/// Serves the session until it ends. The reader is never cancelled in the middle of a message; writing never waits for
/// the reader, so a client that writes much before it reads is no deadlock.
pub(super) async fn run(
    session: &EngineSession,
    handler: &mut dyn EngineHandler,
    socket: WebSocket,
) {
    let (outbox, config) = (session.outbox(), &session.config);
    let bytes_out = config.metrics.bytes_out.socketio.clone();
    socket.attach(
        outbox,
        &session.config.flusher,
        Ping::Text(packet::PING),
        bytes_out,
    );
    let code = |reason: Reason| ((config.close_code)(reason), reason.name());
    tokio::join!(
        read(session, handler, &socket),
        socket.serve(outbox, config.farewell, code)
    );
}

async fn read(session: &EngineSession, handler: &mut dyn EngineHandler, socket: &WebSocket) {
    while !session.outbox().is_closed() {
        consume_budget().await;
        tokio::select! {
            biased;
            () = session.news() => {
                session.tell(handler);
                // All news is taken, or they would come again at once and for ever.
                session.state.lock().drop_news();
            }
            message = socket.next() => match message {
                Some(Ok(message)) => receive(session, handler, message).await,
                Some(Err(error)) => session.outbox().close(reason_of(&error)),
                None => session.outbox().close(Reason::TransportClosed),
            },
        }
    }
    let reason = session.outbox().closed().await;
    handler.closed(reason).await;
}

async fn receive(session: &EngineSession, handler: &mut dyn EngineHandler, message: WsMessage) {
    let metrics = &session.config.metrics;
    match message {
        WsMessage::Text(text) => {
            metrics.bytes_in.socketio.increment(text.len() as u64);
            session
                .packet(handler, EnginePacket::parse(text.as_str()))
                .await;
        }
        WsMessage::Binary(bytes) => {
            metrics.bytes_in.socketio.increment(bytes.len() as u64);
            session
                .deliver(handler, EngineMessage::Binary(&bytes))
                .await;
        }
        WsMessage::Close(_) => session.outbox().close(Reason::TransportClosed),
        WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_) => {
            session.brake.slow_down().await;
        }
    }
}
