//! `/v1/templates`: the baked machines that sandboxes start from.

pub mod get;
pub mod list;
