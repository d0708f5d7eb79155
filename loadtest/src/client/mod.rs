//! A chat client that reconnects and resumes, over either protocol. Knows the wire as it is documented; refuses to
//! de-duplicate or to reorder: whatever arrives is recorded as it arrives.

mod arrivals;
mod changes;
mod connection;
mod deed;
mod dial;
mod hindsight;
mod native;
mod order;
mod outstanding;
mod own;
mod place;
mod protocol;
mod record;
mod rest_answer;
mod said;
mod session;
mod shared;
mod socketio;

pub(crate) use connection::{Connection, NotConnected};
pub(crate) use dial::{Dial, Stream};
pub(crate) use hindsight::Numbering;
pub(crate) use order::Order;
pub(crate) use protocol::{Protocol, Target};
pub(crate) use record::{Ending, Held, Receipt, Record, Sent, Waits, Wanted};
pub(crate) use said::{Incoming, Joining};
pub(crate) use session::Session;
pub use shared::Resume;
pub(crate) use shared::{Common, Counters, Mixed, Patience, Phase, Shared, Supply};
