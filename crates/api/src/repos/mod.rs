//! `/v1/repos`: what holds for all of the org's apps of a repository.

pub mod preview_env;

use pando_types::schema::value::RepositoryNumber;
use utoipa::IntoParams;

use crate::extract;
use crate::refusal::Refused;

/// What the paths of a repository name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct RepoId {
    /// The forge's number of the repository.
    #[param(value_type = RepositoryNumber, inline)]
    id: u64,
}

/// The repository's number in a path.
pub fn repo_id(text: &str) -> Result<u64, Refused> {
    Ok(extract::id("repository of an app", text)?)
}
