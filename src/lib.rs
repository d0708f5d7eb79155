//! hobnob: a real-time chat backend with proof of delivery.
//!
//! ARCHITECTURE.md has the bird's eye view. Dependencies point one way:
//! `main → app → {api, gateway, adapters} → fanout → {chat → commit, transport} → {ports, auth, wire} → domain`.

pub mod admin;
pub mod api;
pub mod app;
pub mod auth;
pub mod bus;
pub mod chat;
pub mod cli;
pub mod commit;
pub mod config;
pub mod domain;
pub mod fanout;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod gateway;
pub mod healthcheck;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod presence;
pub mod redis;
pub mod refusal;
pub mod store;
pub mod throttle;
pub mod traces;
pub mod transport;
pub mod web;
pub mod wire;
