//! Traces of real gateways, as a collector gets them over OTLP.

mod collector;
mod handover;
mod messages;
mod trouble;
