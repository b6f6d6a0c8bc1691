//! `/v1/previews`: the apps that live as long as a pull request.

pub mod list;
