//! Traces of real gateways, as a collector gets them over OTLP.

mod collector;
mod delegation;
mod messages;
mod trouble;
