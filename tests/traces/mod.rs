//! Traces of real gateways, as a collector gets them over OTLP.

mod collector;
mod messages;
mod trouble;
