//! A check's report with what it cost, for people and as JSON. Knows no check.

use std::path::Path;

use serde::Serialize;

use super::cost::Cost;
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
    pub(super) fn show(&self, json: Option<&Path>) -> Result<(), Invalid> {
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
