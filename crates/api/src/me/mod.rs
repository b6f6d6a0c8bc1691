//! `/v1/me`: the caller, and the API keys of its org.

pub mod get;
pub mod tokens;
