//! `/v1/apps/{id}/deliveries`: what a forge told about the app's repository.

pub mod list;
