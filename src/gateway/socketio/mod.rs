//! Socket.IO: the protocol layer, and (beside it) what the application says over it.

mod events;
pub mod protocol;

pub use events::ChatApplication;
