//! A session on its WebSocket: reads and writes at the same time in one task. Knows nothing of polling.

use axum::extract::ws::{CloseFrame, Message as WsMessage, Utf8Bytes, WebSocket, WebSocketUpgrade};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use metrics::Counter;
use tokio::time::{sleep, timeout};

use super::packet::{self, Packet};
use super::session::Session;
use super::{EngineConfig, EngineHandler, Message};
use crate::gateway::outbox::{Batch, Frame, Outbox, Pings, Reason};

/// Bytes read at a time. The library's default of 128 KiB per connection is what ten thousand idle ones cannot afford.
const READ_BUFFER: usize = 2 * 1024;
/// Bytes gathered before a write; a frame larger than this is written at once.
const WRITE_BUFFER: usize = 4 * 1024;
/// The most taken from the outbox before a flush, so that what a stuck client holds outside of it stays small.
const WRITE_BATCH: usize = 64 * 1024;

/// The small buffers and the bounds of a session's socket.
pub(super) fn bounded<F>(
    upgrade: WebSocketUpgrade<F>,
    config: &EngineConfig,
) -> WebSocketUpgrade<F> {
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(config.max_payload)
        .max_frame_size(config.max_payload)
}

/// Serves the session until it ends. The reader is never cancelled in the middle of a message; the writer never waits
/// for the reader, so a client that writes much before it reads is no deadlock.
pub(super) async fn run(session: &Session, handler: &mut dyn EngineHandler, socket: WebSocket) {
    let (sink, stream) = socket.split();
    tokio::join!(read(session, handler, stream), write(session, sink));
}

async fn read(
    session: &Session,
    handler: &mut dyn EngineHandler,
    mut stream: SplitStream<WebSocket>,
) {
    while !session.outbox().is_closed() {
        tokio::select! {
            biased;
            () = session.news() => session.tell(handler).await,
            message = stream.next() => match message {
                Some(Ok(message)) => receive(session, handler, message).await,
                Some(Err(_)) => session.outbox().close(Reason::TransportError),
                None => session.outbox().close(Reason::TransportClosed),
            },
        }
    }
    let reason = session.outbox().closed().await;
    handler.closed(reason).await;
}

async fn receive(session: &Session, handler: &mut dyn EngineHandler, message: WsMessage) {
    let metrics = &session.config.metrics;
    match message {
        WsMessage::Text(text) => {
            metrics.bytes_in.socketio.increment(text.len() as u64);
            session.packet(handler, Packet::parse(text.as_str())).await;
        }
        WsMessage::Binary(bytes) => {
            metrics.bytes_in.socketio.increment(bytes.len() as u64);
            session.deliver(handler, Message::Binary(&bytes)).await;
        }
        WsMessage::Close(_) => session.outbox().close(Reason::TransportClosed),
        WsMessage::Ping(_) | WsMessage::Pong(_) => {}
    }
}

async fn write(session: &Session, mut sink: SplitSink<WebSocket, WsMessage>) {
    let outbox = session.outbox();
    tokio::select! {
        () = pump(outbox, &mut sink, &session.config.metrics.bytes_out.socketio) => {}
        () = cut(session) => {}
    }
    // A stuck client never takes it; nobody waits for that long.
    let _ = timeout(session.config.farewell, close(session, &mut sink)).await;
}

/// Writes until the outbox has ended and is empty, or the connection breaks.
async fn pump(outbox: &Outbox, sink: &mut SplitSink<WebSocket, WsMessage>, bytes_out: &Counter) {
    while let Some(batch) = outbox.take(WRITE_BATCH, Pings::ForProof).await {
        bytes_out.increment(batch.bytes());
        if write_batch(sink, batch).await.is_err() {
            outbox.close(Reason::TransportError);
            return;
        }
    }
}

async fn write_batch(
    sink: &mut SplitSink<WebSocket, WsMessage>,
    batch: Batch,
) -> Result<(), axum::Error> {
    for frame in batch.frames {
        sink.feed(match frame {
            Frame::Text(text) => WsMessage::Text(text),
            Frame::Binary(bytes) => WsMessage::Binary(bytes),
        })
        .await?;
    }
    if batch.ping {
        let ping = WsMessage::Text(Utf8Bytes::from_static(packet::PING));
        sink.feed(ping).await?;
    }
    sink.flush().await
}

/// The moment at which writing is given up: at the end of the session, or a little later if it is graceful.
async fn cut(session: &Session) {
    let reason = session.outbox().closed().await;
    if reason.is_graceful() {
        sleep(session.config.farewell).await;
    }
}

async fn close(
    session: &Session,
    sink: &mut SplitSink<WebSocket, WsMessage>,
) -> Result<(), axum::Error> {
    let reason = session.outbox().closed().await;
    let frame = CloseFrame {
        code: (session.config.close_code)(reason),
        reason: Utf8Bytes::from_static(reason.name()),
    };
    // Refused when the client closed first; its close frame is answered by the flush below.
    let _ = sink.send(WsMessage::Close(Some(frame))).await;
    sink.close().await
}
