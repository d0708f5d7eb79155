//! The integration tests: one binary, so that servers are started once and shared.

mod contract;
mod socketio;
mod support;
