//! The main job over several real gateways on real Redis and MongoDB, by the official client, `/ws` and REST.

mod concurrency;
mod delegation;
mod delivery;
mod doubts;
mod drain;
mod forgery;
mod journeys;
mod making;
mod offline;
mod presence;
mod presence_doubts;
mod removal;
mod resync;
mod retries;
