//! hobnob: a real-time chat backend with proof of delivery.
//!
//! ARCHITECTURE.md has the bird's eye view. Dependencies point one way:
//! `main → app → {api, gateway, adapters} → chat → {ports, auth} → domain`.

pub mod bus;
pub mod chat;
pub mod domain;
pub mod gateway;
pub mod presence;
pub mod store;
