//! The program as its operators meet it: run as a process of its own, with nothing in its environment but what the
//! test gives it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod bad_configuration;
mod commands;
mod life;
mod program;
