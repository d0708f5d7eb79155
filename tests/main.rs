//! The integration tests: one binary, so that servers are started once and shared.

#![cfg(test)]

mod api;
mod asyncapi;
mod browser;
mod cli;
mod cluster;
mod contract;
mod metrics;
mod official;
mod socketio;
mod sockets;
mod support;
mod tidy;
mod traces;
