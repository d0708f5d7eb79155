//! One suite per port, run over every adapter.

mod bus;
mod bus_faults;
mod presence;
mod presence_faults;
mod redis_cluster;
