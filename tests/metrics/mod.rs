//! What operators read: the tables of `docs/metrics.md` against the `/metrics` of real gateways with some traffic, and
//! promtool's opinion of it. Refuses to know how anything is counted.

mod document;
mod live;
