//! `/v1/apps`: repositories with a stable host, and their deployments.

pub mod create;
pub mod delete;
pub mod deliveries;
pub mod deploys;
pub mod env;
pub mod get;
pub mod list;
pub mod restart;
pub mod rollback;
pub mod update;

use pando_types::AppId;

use crate::extract;
use crate::refusal::Refused;

/// The app id in a path.
fn app_id(text: &str) -> Result<AppId, Refused> {
    Ok(extract::id("app", text)?)
}
