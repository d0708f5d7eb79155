//! Scenarios that measure: each states what it simulates, counts what was lost, repeated and reordered, and reads what
//! named processes used meanwhile. From files, on servers of their own ([`run`]); or against servers that run already.

mod bare;
mod beside;
mod capacity;
mod command;
mod cost;
mod direct;
mod fanout;
mod figures;
mod file;
mod floor;
mod idle;
mod measured;
mod outcome;
mod perform;
mod run;
mod sampler;
mod server;

pub use command::{RunOptions, command as run};
pub use cost::{Cost, Named};
pub use direct::{DirectOptions, command as direct};
pub use fanout::{FanoutOptions, command as fanout};
pub(crate) use figures::Figures;
pub(crate) use file::Scenario;
pub use idle::{IdleOptions, command as idle};
pub use measured::Measured;
pub(crate) use outcome::Outcome;
pub(crate) use perform::perform;
pub(crate) use sampler::Used;
pub use server::Server;
