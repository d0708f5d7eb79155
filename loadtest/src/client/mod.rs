//! A chat client that reconnects and resumes, over either protocol. Knows the wire as it is documented; refuses to
//! de-duplicate or to reorder: whatever arrives is recorded as it arrives.

mod arrivals;
mod connection;
mod dial;
mod hindsight;
mod native;
mod outstanding;
mod place;
mod protocol;
mod record;
mod said;
mod session;
mod shared;
mod socketio;

pub(crate) use connection::{Connection, NotConnected};
pub(crate) use dial::{Dial, Stream};
pub(crate) use hindsight::Numbering;
pub(crate) use outstanding::Order;
pub(crate) use protocol::{Protocol, Target};
pub(crate) use record::{Receipt, Record, Sent};
pub(crate) use said::{Incoming, Joining};
pub(crate) use session::Session;
pub use shared::Resume;
pub(crate) use shared::{Counters, Patience, Phase, Shared, Supply};
