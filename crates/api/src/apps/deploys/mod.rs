//! `/v1/apps/{id}/deploys`: attempts to make one commit live.

pub mod create;
pub mod get;
pub mod list;
pub mod logs;
pub(super) mod order;

use pando_types::DeploymentId;

use super::app_id;
use crate::extract;
use crate::refusal::Refused;

/// The deployment id in a path.
fn deployment_id(text: &str) -> Result<DeploymentId, Refused> {
    Ok(extract::id("deployment", text)?)
}
