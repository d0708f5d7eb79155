//! What a socket's reader, its session's task and the flusher share: the connection, under one lock that is never held
//! for longer than a system call. Bytes leave in one order: what was left over, then what is new.
//!
//! Reading goes on while writing has to wait, since a client may write much before it reads. So what is read may cause
//! no more to be kept than there is room for (D40): answers and events wait in the outbox, which has its limit; of the
//! pongs that are due, only the last is kept.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use metrics::Counter;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::frame::encode_batch;
use super::ping::Ping;
use crate::transport::outbox::{Flushed, Outbox, Port, Reason};

/// A connection that has become a WebSocket.
pub(super) type Stream = TokioIo<Upgraded>;

/// The most taken from the outbox for one write, so that what a stuck client holds outside of it stays small.
const WRITE_BATCH: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Link {
    wire: Mutex<Wire>,
    writing: OnceLock<Writing>,
    /// The connection takes no more for now: the session's task goes on when it does.
    stalled: Notify,
}

/// How an outbox is written.
#[derive(Debug)]
struct Writing {
    ping: Ping,
    bytes_out: Counter,
}

#[derive(Debug)]
struct Wire {
    /// The connection; none once it has ended.
    stream: Option<Stream>,
    protocol: WebSocketContext,
    /// Encoded and not yet taken by the connection; from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// The answer to the client's last ping or close, encoded, while others wait before it. One control frame at most:
    /// a later ping's takes its place (RFC 6455, section 5.5.3).
    reply: Vec<u8>,
    /// The session's task writes, the flusher does not.
    is_stalled: bool,
}

impl Link {
    pub(super) fn new(stream: Stream, config: WebSocketConfig) -> Self {
        Self {
            wire: Mutex::new(Wire {
                stream: Some(stream),
                protocol: WebSocketContext::new(Role::Server, Some(config)),
                out: Vec::new(),
                sent: 0,
                reply: Vec::new(),
                is_stalled: false,
            }),
            writing: OnceLock::new(),
            stalled: Notify::new(),
        }
    }

    pub(super) fn prepare(&self, ping: Ping, bytes_out: Counter) {
        // Once: a socket is attached to one outbox.
        let _ = self.writing.set(Writing { ping, bytes_out });
    }

    pub(super) fn poll_next(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        let mut wire = self.wire.lock();
        let read = wire.read(context);
        if wire.has_rest() && !wire.is_stalled && wire.poll_rest(context).is_pending() {
            wire.is_stalled = true;
            self.stalled.notify_one();
        }
        match read {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(None),
            read => Poll::Ready(Some(read)),
        }
    }

    pub(super) fn queue(&self, text: &'static str) {
        let mut wire = self.wire.lock();
        // A socket that is closing needs it no more.
        let _ = wire.write(|protocol, pipe| protocol.write(pipe, Message::text(text)));
    }

    pub(super) fn queue_close(&self, frame: Option<CloseFrame>) {
        let mut wire = self.wire.lock();
        // Refused when the client closed first, and has its answer.
        let _ = wire.write(|protocol, pipe| protocol.close(pipe, frame));
    }

    /// Writes what was left over.
    pub(super) fn poll_rest(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.lock().poll_rest(context)
    }

    /// Writes everything there is, and leaves further writing to the flusher.
    pub(super) fn poll_drain(
        &self,
        outbox: &Outbox,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock();
        let mut memory = Vec::new();
        while let Flushed::More = ready!(self.poll_flush(&mut wire, outbox, &mut memory, context))?
        {
        }
        wire.is_stalled = false;
        wire.out = Vec::new();
        Poll::Ready(Ok(()))
    }

    pub(super) async fn stalled(&self) {
        self.stalled.notified().await;
    }

    pub(super) fn cut(&self) {
        let mut wire = self.wire.lock();
        wire.stream = None;
        wire.out = Vec::new();
        wire.sent = 0;
        wire.reply = Vec::new();
    }

    /// Writes the rest, and one batch of the outbox behind it.
    fn poll_flush(
        &self,
        wire: &mut Wire,
        outbox: &Outbox,
        memory: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Flushed>> {
        ready!(wire.poll_rest(context))?;
        let (batch, left) = outbox.take_scheduled(WRITE_BATCH);
        let (Some(batch), Some(writing), true) =
            (batch, self.writing.get(), wire.protocol.can_write())
        else {
            // A client that has said goodbye wants no more.
            return Poll::Ready(Ok(left));
        };
        // The flusher's memory, so that an idle session has none of its own.
        std::mem::swap(&mut wire.out, memory);
        writing.bytes_out.increment(batch.bytes());
        encode_batch(&mut wire.out, &batch, &writing.ping);
        let written = wire.poll_rest(context);
        if !wire.has_rest() {
            std::mem::swap(&mut wire.out, memory);
        }
        ready!(written)?;
        Poll::Ready(Ok(left))
    }
}

impl Port for Link {
    fn flush(&self, outbox: &Outbox, memory: &mut Vec<u8>) -> Flushed {
        let mut wire = self.wire.lock();
        if wire.is_stalled {
            return Flushed::All;
        }
        let mut context = Context::from_waker(Waker::noop());
        match self.poll_flush(&mut wire, outbox, memory, &mut context) {
            Poll::Ready(Ok(flushed)) => flushed,
            Poll::Ready(Err(_)) => {
                drop(wire);
                outbox.close(Reason::TransportError);
                Flushed::All
            }
            Poll::Pending => {
                wire.is_stalled = true;
                self.stalled.notify_one();
                Flushed::All
            }
        }
    }
}

impl Wire {
    fn has_rest(&self) -> bool {
        self.sent < self.out.len() || !self.reply.is_empty()
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.has_rest() {
            ready!(self.poll_out(context))?;
            self.out.append(&mut self.reply);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let written = Pin::new(stream).poll_write(context, &self.out[self.sent..]);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// The next message. Reading answers pings and closes, one of them each time.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Message, Error> {
        let stream = self.stream.as_mut().ok_or(Error::AlreadyClosed)?;
        let mut reply = Vec::new();
        let mut pipe = Pipe {
            stream,
            out: &mut reply,
            context,
        };
        let read = self.protocol.read(&mut pipe);
        if !reply.is_empty() {
            self.reply = reply;
        }
        read
    }

    /// Writes behind everything that waits, which takes it whole.
    fn write(
        &mut self,
        work: impl FnOnce(&mut WebSocketContext, &mut Pipe<'_, '_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let stream = self.stream.as_mut().ok_or(Error::AlreadyClosed)?;
        self.out.append(&mut self.reply);
        let mut context = Context::from_waker(Waker::noop());
        let mut pipe = Pipe {
            stream,
            out: &mut self.out,
            context: &mut context,
        };
        work(&mut self.protocol, &mut pipe)
    }
}

/// The connection as tungstenite sees it: reads at once or not at all, and writes behind what is waiting.
struct Pipe<'a, 'b> {
    stream: &'a mut Stream,
    out: &'a mut Vec<u8>,
    context: &'a mut Context<'b>,
}

impl Read for Pipe<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.stream).poll_read(self.context, &mut buffer) {
            Poll::Ready(Ok(())) => Ok(buffer.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Pipe<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
