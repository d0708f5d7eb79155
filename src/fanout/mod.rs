//! The fan-out: which sessions there are, where each stands in its conversations, and how an event reaches all of them,
//! on this gateway and through the bus on others. Knows neither protocols nor requests.
//!
//! Each file is a part that owns its state, and is known to others by its methods only. [`hub`] composes them; `parts`
//! builds, leaf first, those that the committer and the cursors announce through.

mod announcer;
mod catch_up;
mod delegation;
mod drain;
pub mod envelope;
mod gaps;
pub mod hub;
mod inbox;
mod joining;
pub mod offer;
mod offering;
mod own_sends;
mod pacer;
mod parts;
mod passing;
mod presence;
mod proofs;
mod publisher;
mod reannouncer;
mod recall;
mod receipts;
mod repair;
mod resync;
mod roster;
pub mod seats;
pub mod session;
mod session_lifecycle;
mod sessions;
mod signals;
mod standstill;
mod sweep;
mod tasks;
mod topic;
mod topics;
mod users;
