//! An event on its way to sessions: encoded once, whoever receives it. Knows no protocol; each brings its own frame.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use crate::domain::Effect;
use crate::domain::{ConversationId, Event, EventId, GatewayId, Seq, SessionId, Timestamp};
use crate::metrics::ByProtocol;
use crate::traces::{TraceContext, Traced};
use crate::transport::outbox::Frame;
use crate::wire;

/// How one protocol writes a named JSON object.
#[derive(Debug)]
pub struct Encoding {
    /// Its place among [`Offer`]'s cached frames.
    pub slot: usize,
    /// Writes the name and the JSON text of an object as one frame.
    pub encode: fn(&str, &[u8]) -> Frame,
}

impl Encoding {
    /// Its protocol's name.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self.slot {
            0 => "socketio",
            _ => "websocket",
        }
    }

    /// What is counted for its protocol.
    #[must_use]
    pub fn of<'a, T>(&self, each: &'a ByProtocol<T>) -> &'a T {
        match self.slot {
            0 => &each.socketio,
            _ => &each.websocket,
        }
    }
}

/// How many encodings there are: Socket.IO and WebSocket.
pub const ENCODINGS: usize = 2;

/// A named JSON object, encoded at most once per protocol.
#[derive(Debug)]
pub struct Encoded {
    /// Its name on the wire.
    pub name: &'static str,
    /// The object's JSON text.
    pub json: Bytes,
    frames: [OnceLock<Frame>; ENCODINGS],
}

impl Encoded {
    /// A named object.
    #[must_use]
    pub fn new(name: &'static str, json: Bytes) -> Self {
        Self {
            name,
            json,
            frames: Default::default(),
        }
    }

    /// The frame of one protocol; all sessions of it share the bytes.
    pub fn frame(&self, encoding: &Encoding) -> Frame {
        self.frames[encoding.slot]
            .get_or_init(|| (encoding.encode)(self.name, &self.json))
            .clone()
    }
}

/// An event on its way to sessions.
#[derive(Debug)]
pub struct Offer {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its place in the log.
    pub seq: Seq,
    /// When its gateway accepted it; none when another gateway did not say.
    pub at: Option<Timestamp>,
    /// What it does to who receives later ones.
    pub effect: Effect,
    /// The event's id; none when another gateway did not say.
    pub id: Option<EventId>,
    /// The session whose request it was, when that is known (D19).
    pub origin: Option<SessionId>,
    /// The gateway that has written it, when it came over the bus.
    pub writer: Option<GatewayId>,
    /// Where its trace is, and since when it has been here, when it is traced.
    pub traced: Option<Traced>,
    /// What is written; none of an event that shows nothing.
    pub encoded: Option<Encoded>,
}

impl Offer {
    /// Of an event.
    #[must_use]
    pub fn of(event: &Event, origin: Option<SessionId>) -> Arc<Self> {
        Self::traced(event, origin, None)
    }

    /// Of an event that may be traced.
    #[must_use]
    pub fn traced(
        event: &Event,
        origin: Option<SessionId>,
        trace: Option<TraceContext>,
    ) -> Arc<Self> {
        let encoded = wire::event_json(event);
        let encoded = encoded.map(|(name, json)| Encoded::new(name, Bytes::from(json)));
        Arc::new(Self {
            conversation: event.conversation,
            seq: event.seq,
            at: Some(event.at),
            effect: event.body.effect(),
            id: Some(event.id),
            origin,
            writer: None,
            traced: trace.map(Traced::now),
            encoded,
        })
    }

    /// Whether it is a direct message: these are not given to the session that sent them, as in the seed.
    #[must_use]
    pub fn is_direct_message(&self) -> bool {
        let encoded = self.encoded.as_ref();
        encoded.is_some_and(|encoded| encoded.name == "receive_message")
    }
}
