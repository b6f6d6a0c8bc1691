//! `/v1/templates`: the machines that sandboxes start from, and their builds.

pub mod build;
pub mod builds;
pub mod delete;
mod form;
pub mod get;
pub mod list;
