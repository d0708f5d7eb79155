//! Times and costs. Knows no chat.

mod latency;
mod lateness;
mod process;

pub(crate) use latency::{Latencies, Percentiles};
pub(crate) use lateness::{Lateness, LatenessReport};
pub(crate) use process::{Usage, usage};
