//! `/v1/repos/{id}/preview-env`: what the previews of a repository are given.

pub mod import;
pub mod list;
pub mod set;
pub mod unset;

use pando_types::schema::value::{EnvName, RepositoryNumber};
use utoipa::IntoParams;

/// What the paths of one variable name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct OfRepo {
    /// The forge's number of the repository.
    #[param(value_type = RepositoryNumber, inline)]
    id: u64,
    /// The variable.
    #[param(value_type = EnvName, inline)]
    key: String,
}
