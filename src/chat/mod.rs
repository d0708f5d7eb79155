//! The use cases. Knows the ports and the domain; knows no protocol, no HTTP and no adapter.

mod announce;
mod cursors;
mod error;

pub use announce::Announce;
pub use cursors::Cursors;
pub use error::ChatError;
