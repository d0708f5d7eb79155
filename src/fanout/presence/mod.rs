//! Who is online, as this gateway takes part in it: it tells the presence service who comes and goes here, and shows
//! sessions whose presence they watch. Knows no conversation.

mod arrivals;
mod board;
mod comings;
mod departures;
mod inquiry;
mod told;
mod watchers;

pub(super) use arrivals::{Arrivals, ArrivalsPorts};
pub(super) use board::{Board, BoardConfig, BoardPorts};
pub(super) use departures::Departures;
