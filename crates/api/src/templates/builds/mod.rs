//! `/v1/templates/builds`: attempts to make a template.

pub mod get;
pub mod list;
pub mod logs;

use pando_types::TemplateBuildId;

use crate::extract;
use crate::refusal::Refused;

/// The build's id in a path.
fn build_id(text: &str) -> Result<TemplateBuildId, Refused> {
    Ok(extract::id("template build", text)?)
}
