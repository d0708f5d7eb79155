//! Scenarios that measure: each states what it simulates, counts what was lost, repeated and reordered, and reads what
//! named processes used meanwhile. Know no fault.

mod cost;
mod direct;
mod fanout;
mod idle;

pub use cost::{Cost, Named};
pub use direct::{DirectOptions, command as direct};
pub use fanout::{FanoutOptions, command as fanout};
pub use idle::{IdleOptions, command as idle};

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
