//! One suite per port, run over every adapter.

// `cfg(test)` holds for all of this binary; said here, it tells clippy that `unwrap` is at home in the suite.
mod bus;
mod bus_faults;
mod presence;
mod presence_faults;
mod redis_cluster;
#[cfg(test)]
mod store;
mod throttle;
