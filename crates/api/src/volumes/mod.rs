//! `/v1/volumes`: a file per verb. They are attached by the create of a sandbox.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;

use pando_types::{PublicError, volume};

use crate::extract;
use crate::refusal::Refused;

/// The volume's name in a path. Text that is no name is the name of nothing: 404, not 400.
fn volume_name(text: &str) -> Result<&str, Refused> {
    if volume::is_name(text) {
        return Ok(text);
    }
    Err(PublicError::not_found("volume", extract::shown(text)).into())
}
