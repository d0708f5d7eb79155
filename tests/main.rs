//! The integration tests: one binary, so that servers are started once and shared.
#![cfg(test)]

mod cli;
mod api;
mod contract;
mod support;
