//! The integration tests: one binary, so that servers are started once and shared.

#![cfg(test)]

mod contract;
mod official;
mod support;
mod tidy;
