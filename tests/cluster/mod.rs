//! The main job over several real gateways on real Redis and MongoDB, by the official client, `/ws` and REST.

mod concurrency;
mod delivery;
mod doubts;
mod drain;
mod handover;
mod journeys;
mod offline;
mod presence;
mod removal;
mod resync;
mod retries;
