//! The JSON shapes that REST, Socket.IO and WebSocket share, so that a message is the same object everywhere.
//! Knows the domain, serde and, to describe itself, utoipa; no use case, no protocol, no port.
//!
//! Shapes that belong to one edge alone (request bodies, frames) live at that edge.

mod change;
mod error;
mod event;
mod message;
mod scalar;

pub use change::{DeletedJson, EditedJson, Header, ReactionJson, RoomUpdatedJson};
pub use error::{ErrorBody, ErrorJson};
pub use event::{EventJson, EventName, event_json};
pub use message::MessageJson;
pub use scalar::{Moment, Shown};

use serde::Serialize;

/// The JSON text of one of this module's shapes.
#[must_use]
pub fn encode(shape: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and maps with string keys cannot fail to become JSON in memory; should a shape ever break
    // that, an empty object is better than a dead gateway.
    serde_json::to_vec(shape).unwrap_or_else(|error| {
        tracing::error!(%error, "a wire shape could not be encoded");
        b"{}".to_vec()
    })
}

#[cfg(test)]
mod tests;
