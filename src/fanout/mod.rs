//! The fan-out: which sessions there are, where each stands in its conversations, and how an event reaches all of them,
//! on this gateway and through the bus on others. Knows neither protocols nor requests.

mod drain;
pub mod envelope;
pub mod hub;
pub mod offer;
mod pacer;
mod receipts;
mod roster;
pub mod seats;
pub mod session;
mod topic;
