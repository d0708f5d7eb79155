//! The integration tests: one binary, so that servers are started once and shared.

mod cli;
mod contract;
mod support;
