//! The main job on one real gateway on its embedded store, by the official client, `/ws` and REST.

mod agreement;
mod crash;
mod endings;
mod floods;
mod forgery;
mod former;
mod frozen;
mod garbage;
mod guesses;
mod half_open;
mod heads;
mod hoarding;
mod panics;
mod permissions;
mod receipts;
mod resume;
mod rfc6455;
mod strangers;
mod transports;
mod upgrades;
mod volume;
