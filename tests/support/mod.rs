//! What the tests need to start, drive and break real servers.

pub(crate) mod embedded;
pub(crate) mod leash;
pub(crate) mod node;
pub(crate) mod servers;
