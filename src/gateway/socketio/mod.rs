//! Socket.IO: the protocol layer, and (beside it) what the application says over it.

pub mod protocol;
