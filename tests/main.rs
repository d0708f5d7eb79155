//! The integration tests: one binary, so that servers are started once and shared.
#![cfg(test)]

mod cli;
mod contract;
mod support;
