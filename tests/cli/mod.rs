//! The program as its operators meet it: run as a process of its own, with nothing in its environment but what the
//! test gives it.

mod bad_configuration;
mod commands;
mod identity;
mod life;
mod operations;
mod program;
mod redis_addresses;
