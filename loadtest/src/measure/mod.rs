//! Times and costs. Knows no chat.

mod latency;
mod lateness;
mod process;

pub(crate) use latency::Latencies;
pub use latency::Percentiles;
pub(crate) use lateness::Lateness;
pub use lateness::LatenessReport;
pub(crate) use process::{Usage, usage};
