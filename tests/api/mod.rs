//! The REST edge through its real router, over the embedded store and the real committer.

mod accounts;
mod form;
mod generated;
mod messages;
mod people;
mod permissions;
mod rooms;
mod server;
