//! Real servers on free loopback ports, for whoever tests, loads or measures: started on a leash, broken, brought back.
//!
//! Knows processes and what is needed to order them about; refuses to know what they are asked, and by whom. What cannot
//! be started or does not come true panics: there is nothing to test then. The load generator makes an invalid run of it.

#![expect(
    clippy::expect_used,
    reason = "without its servers there is nothing to test"
)]

pub mod balancer;
pub mod cable;
pub mod certificates;
pub mod gateway;
pub mod leash;
pub mod servers;
mod until;

pub use until::{Look, until};
