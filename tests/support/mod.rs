//! What the tests need to start, drive and break real servers.

pub(crate) mod cast;
pub(crate) mod fold;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod matrix;
pub(crate) mod node;
pub(crate) mod official;
mod proxy;
pub(crate) mod rest;
pub(crate) mod table;
pub(crate) mod tokens;
pub(crate) mod ws;

pub(crate) use testbed::{balancer, certificates, leash, until};

/// Those of the testbed, and the proxies that are shipped.
pub(crate) mod servers {
    pub(crate) use super::proxy::Proxy;
    pub(crate) use testbed::servers::*;
}
