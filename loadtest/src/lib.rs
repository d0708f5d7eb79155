//! Load and proof for hobnob: a generator that numbers what it sends, and a checker that reconciles what was
//! acknowledged and received with what is stored. Knows the product only by its wire: nothing of its source is used.

mod accounts;
pub mod check;
mod client;
pub mod compare;
mod copies;
pub mod fold;
mod gateways;
mod invalid;
mod ledger;
pub mod limit;
pub mod matrix;
mod measure;
mod mix;
mod outcome;
mod rest;
pub mod scenario;

pub use client::Resume;
pub use gateways::{Gateway, Gateways, Trust};
use invalid::carried_out;
pub use invalid::{Invalid, Verdict};
pub use ledger::{Balance, Elsewhere, Tally};
pub use measure::{LatenessReport, Percentiles};
pub use mix::{Kind, Mix};
