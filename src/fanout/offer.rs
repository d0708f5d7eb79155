//! An event on its way to sessions: encoded once, whoever receives it. Knows no protocol; each brings its own frame.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use crate::domain::Effect;
use crate::domain::{ConversationId, Event, EventId, GatewayId, Seq, Timestamp};
use crate::metrics::ByProtocol;
use crate::traces::{TraceContext, Traced};
use crate::transport::outbox::Frame;
use crate::wire::{self, EventName};

/// What a session's client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Socket.IO, over either of its transports.
    SocketIo,
    /// Plain JSON over a WebSocket, at `/ws`.
    WebSocket,
}

impl Protocol {
    /// Its name in traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SocketIo => "socketio",
            Self::WebSocket => "websocket",
        }
    }

    /// What there is for it, of what there is for each.
    #[must_use]
    pub const fn of<T>(self, each: &ByProtocol<T>) -> &T {
        match self {
            Self::SocketIo => &each.socketio,
            Self::WebSocket => &each.websocket,
        }
    }
}

/// How a protocol writes a named JSON object.
#[derive(Debug)]
pub struct Encoding {
    /// The protocol; it has one encoding.
    pub protocol: Protocol,
    /// Writes the name and the JSON text of an object as one frame.
    pub encode: fn(&str, &[u8]) -> Frame,
}

/// A named JSON object, encoded at most once per protocol.
#[derive(Debug)]
pub struct Encoded {
    /// Its name on the wire.
    pub name: EventName,
    /// The object's JSON text.
    pub json: Bytes,
    /// Made when the first session of a protocol is given it.
    frames: ByProtocol<OnceLock<Frame>>,
}

impl Encoded {
    /// This object, for no protocol yet.
    #[must_use]
    pub fn new(name: EventName, json: Bytes) -> Self {
        Self {
            name,
            json,
            frames: ByProtocol {
                socketio: OnceLock::new(),
                websocket: OnceLock::new(),
            },
        }
    }

    /// The frame of one protocol; all sessions of it share the bytes.
    pub fn frame(&self, encoding: &Encoding) -> Frame {
        let frame = encoding.protocol.of(&self.frames);
        frame
            .get_or_init(|| (encoding.encode)(self.name.as_str(), &self.json))
            .clone()
    }
}

/// An event on its way to sessions.
#[derive(Debug)]
pub struct Offer {
    /// The conversation whose log the event is in.
    pub conversation: ConversationId,
    /// Its place in the log.
    pub seq: Seq,
    /// When its gateway accepted it; none when another gateway did not say.
    pub at: Option<Timestamp>,
    /// How it changes who receives later events.
    pub effect: Effect,
    /// The event's id; none when another gateway did not say.
    pub id: Option<EventId>,
    /// The gateway that has written it, when it came over the bus.
    pub writer: Option<GatewayId>,
    /// Where its trace is, and since when it has been here, when it is traced.
    pub traced: Option<Traced>,
    /// What is written; none of an event that shows nothing.
    pub encoded: Option<Encoded>,
}

impl Offer {
    /// An event that is not traced.
    #[must_use]
    pub fn of(event: &Event) -> Arc<Self> {
        Self::traced(event, None)
    }

    /// An event whose trace goes on here, if it has one.
    #[must_use]
    pub fn traced(event: &Event, trace: Option<TraceContext>) -> Arc<Self> {
        let encoded = wire::event_json(event);
        let encoded = encoded.map(|(name, json)| Encoded::new(name, Bytes::from(json)));
        Arc::new(Self {
            conversation: event.conversation,
            seq: event.seq,
            at: Some(event.at),
            effect: event.body.effect(),
            id: Some(event.id),
            writer: None,
            traced: trace.map(Traced::now),
            encoded,
        })
    }

    /// Whether its conversation is direct: there the answer to a send stands for the message, and in a room the sender
    /// gets both, as in the seed (D19).
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        matches!(self.conversation, ConversationId::Direct(..))
    }
}
