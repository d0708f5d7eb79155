//! One WebSocket connection to one gateway, up to the point where delivery has begun. Knows frames; no reconnecting.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::dial::{Dial, Stream};
use super::protocol::Protocol;
use super::said::{Incoming, Joining};

/// How long the TCP and WebSocket handshakes may take.
const OPEN: Duration = Duration::from_secs(5);
/// How long the answer to the join may take.
const JOIN: Duration = Duration::from_secs(15);
/// How long one write may block.
const WRITE: Duration = Duration::from_secs(5);
/// Our own read buffer, in bytes: thousands of connections share one process here too.
const READ_BUFFER: usize = 4 * 1024;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WebSocketStream<Stream>,
    protocol: Protocol,
}

/// Why a connection could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotConnected {
    /// Nobody there, or no answer in time; which of them, in words.
    Unreachable(String),
    /// The gateway said no, with this code.
    Refused(String),
}

impl Connection {
    /// Connects and starts delivery. Whatever is told before the answer to the join is handed to `early`.
    pub(crate) async fn open(
        dial: &Dial,
        protocol: Protocol,
        joining: &Joining<'_>,
        early: impl FnMut(&str),
    ) -> Result<Self, NotConnected> {
        let unreachable = |why: String| NotConnected::Unreachable(why);
        let mut connection = timeout(OPEN, Self::handshake(dial, protocol))
            .await
            .map_err(|_| unreachable("no handshake in time".to_owned()))?
            .map_err(|error| unreachable(format!("the handshake: {error}")))?;
        timeout(JOIN, connection.join(joining, early))
            .await
            .map_err(|_| unreachable("no answer to the join in time".to_owned()))??;
        Ok(connection)
    }

    /// Connects and says nothing.
    pub(crate) async fn handshake(dial: &Dial, protocol: Protocol) -> Result<Self, Error> {
        let stream = dial.connect().await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0);
        let url = dial.gateway.url("ws", protocol.path());
        let (socket, _) =
            tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await?;
        Ok(Self { socket, protocol })
    }

    async fn join(
        &mut self,
        joining: &Joining<'_>,
        mut early: impl FnMut(&str),
    ) -> Result<(), NotConnected> {
        let ended = || NotConnected::Unreachable("it ended before the join".to_owned());
        let gone = |_| ended();
        if let Some(opening) = self.protocol.opening(joining) {
            self.write(opening).await.map_err(gone)?;
        }
        loop {
            let text = self.next().await.ok_or_else(ended)?;
            let Some(text) = text else { continue };
            let unreadable = || NotConnected::Unreachable(format!("it said {text}"));
            let incoming = self.protocol.read(&text).ok_or_else(unreadable)?;
            match &incoming {
                Incoming::Answer { id: 0, outcome } => {
                    return match outcome {
                        Ok(_) => Ok(()),
                        Err(code) => Err(NotConnected::Refused(code.to_string())),
                    };
                }
                Incoming::Refused(code) => return Err(NotConnected::Refused(code.clone())),
                Incoming::Message(_) | Incoming::Changed(..) | Incoming::Other => early(&text),
                _ => {}
            }
            if let Some(reaction) = self.protocol.reaction(&incoming, joining) {
                self.write(reaction).await.map_err(gone)?;
            }
        }
    }

    /// The next text frame; `Some(None)` for a sign of life without text; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Option<String>> {
        match self.socket.next().await {
            Some(Ok(Frame::Text(text))) => Some(Some(text.as_str().to_owned())),
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => Some(None),
            _ => None,
        }
    }

    /// Reads a frame as what it says, and answers pings.
    pub(crate) async fn hear(
        &mut self,
        heed: &mut impl FnMut(&Incoming<'_>, &str),
    ) -> Result<(), Gone> {
        let text = self.next().await.ok_or(Gone)?.unwrap_or_default();
        if !self.answer_ping(&text).await?
            && let Some(incoming) = self.protocol.read(&text)
        {
            heed(&incoming, &text);
        }
        Ok(())
    }

    /// Writes a frame at once.
    pub(crate) async fn write(&mut self, text: String) -> Result<(), Gone> {
        let write = self.socket.send(Frame::text(text));
        match timeout(WRITE, write).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Answers Socket.IO's ping, when the frame is one. True if it was.
    pub(crate) async fn answer_ping(&mut self, text: &str) -> Result<bool, Gone> {
        let is_ping = self.protocol == Protocol::SocketIo && text == "2";
        if is_ping {
            self.write(super::socketio::PONG.to_owned()).await?;
        }
        Ok(is_ping)
    }

    /// Says good-bye.
    pub(crate) async fn close(mut self) {
        // Whoever does not answer is gone anyway.
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}

/// The connection takes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;
