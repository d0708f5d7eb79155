//! The REST edge through its real router, over the embedded store and the real committer.

mod accounts;
mod form;
mod messages;
mod people;
mod rooms;
mod server;
