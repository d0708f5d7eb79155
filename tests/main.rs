//! The integration tests: one binary, so that servers are started once and shared.

#![cfg(test)]

mod api;
mod asyncapi;
mod browser;
mod cli;
mod contract;
mod support;
mod tidy;
