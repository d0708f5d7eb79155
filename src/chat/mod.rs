//! The use cases. Knows the ports and the domain; knows no protocol, no HTTP and no adapter.

mod announce;
mod error;

pub use announce::Announce;
pub use error::ChatError;
