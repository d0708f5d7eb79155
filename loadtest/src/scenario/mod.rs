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
mod run;
mod sampler;
mod server;

pub use command::{RunOptions, command as run};
pub use cost::{Cost, Named};
pub use direct::{DirectOptions, command as direct};
pub use fanout::{FanoutOptions, command as fanout};
pub(crate) use file::{Figures, Scenario};
pub use idle::{IdleOptions, command as idle};
pub(crate) use run::{Outcome, perform};
pub(crate) use sampler::Used;
pub use server::Server;

use std::path::Path;

use serde::Serialize;

use crate::Invalid;
use crate::check::Report;

/// A check's report, and what it cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The books, latencies and verdict.
    #[serde(flatten)]
    pub report: Report,
    /// What is counted: delivery, or message.
    pub unit: &'static str,
    /// How many in the measured time.
    pub count: u64,
    /// How many a second.
    pub per_second: f64,
    /// What each named process used.
    pub costs: Vec<Cost>,
}

impl Measured {
    fn show(&self, json: Option<&Path>) -> Result<(), Invalid> {
        print!("{}", self.report);
        println!(
            "  measured: {}, {:.0}/s; the unit is a {}",
            self.count, self.per_second, self.unit
        );
        for cost in &self.costs {
            println!("  {cost} per {}", self.unit);
        }
        if let Some(path) = json {
            std::fs::write(path, serde_json::to_vec_pretty(self)?)?;
        }
        Ok(())
    }
}
