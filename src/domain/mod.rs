//! Values with invariants: what a chat is made of. Knows no I/O, no HTTP, no database and no wire format.
//!
//! Everything here is parsed once, at an edge; inside, an invalid value cannot exist.

mod backoff;
mod body;
mod bounded;
mod change;
mod clock;
mod conversation;
mod event;
mod ids;
mod message;
mod network;
mod seq;
mod tally;
mod text;
mod user;

pub use backoff::Backoff;
pub use body::{Body, Effect, Kind};
pub use bounded::make_room;
pub use change::{Change, ChangeKind, Facts, Projection, Refusal, decide, projections};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use conversation::{Conversation, Member, Role};
pub use event::Event;
pub use ids::{ConversationId, Entropy, EventId, GatewayId, InvalidId, RoomId, SessionId, UserId};
pub use message::{Fingerprint, Message, Reactions};
pub use network::{ClientNetwork, InvalidNetwork, Network, Origin};
pub use seq::Seq;
pub use tally::Tally;
pub use text::{ClientMessageId, Content, Emoji, InvalidText, RoomName, Username};
pub use user::User;
