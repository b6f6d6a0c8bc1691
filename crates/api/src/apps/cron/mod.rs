//! `/v1/apps/{id}/cron`: what an app has run at certain times. Its `pando.toml` says what that is.

pub mod list;
pub mod run;

use pando_guest_protocol::supervise::is_process_name;
use pando_types::PublicError;

use crate::extract;
use crate::refusal::Refused;

/// The cron's name in a path. Text that is no name is the name of nothing: 404, not 400.
fn cron_name(text: &str) -> Result<&str, Refused> {
    if is_process_name(text) {
        return Ok(text);
    }
    Err(PublicError::not_found("cron", extract::shown(text)).into())
}
