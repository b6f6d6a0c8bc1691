//! GitHub's JSON objects, each built in one place and whole: every field that
//! GitHub's OpenAPI document requires is there, so that a reader which asks for
//! one more finds it.

mod comment;
mod commit;
mod pull_request;
mod repository;
mod status;
mod user;

pub(crate) use comment::comment;
pub(crate) use commit::commit;
pub(crate) use pull_request::{listed_pull_request, pull_request};
pub(crate) use repository::{full_repository, pushed_repository, repository};
pub(crate) use status::status;
pub(crate) use user::{email, user};

use base64::Engine;
use pando_types::Timestamp;

/// A moment as GitHub writes it: whole seconds.
fn time(moment: Timestamp) -> String {
    let text = moment.to_rfc3339();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// The opaque id of GitHub's other API.
fn node_id(kind: &str, id: impl std::fmt::Display) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{kind}:{id}"))
}
