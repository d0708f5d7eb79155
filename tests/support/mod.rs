//! What the tests need to start, drive and break real servers.

pub(crate) mod balancer;
pub(crate) mod cast;
pub(crate) mod certificates;
pub(crate) mod fold;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod leash;
pub(crate) mod matrix;
pub(crate) mod node;
pub(crate) mod rest;
pub(crate) mod servers;
pub(crate) mod tokens;
pub(crate) mod ws;
