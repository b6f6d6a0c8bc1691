//! `/v1/domains`: what a TLS proxy in front asks.

pub mod ask;
